// @ts-check
/** What puts a picture on the screen: NiiVue, or a plain canvas where there is no WebGL2.
 *
 * NiiVue gets each slice as a picture in its window. It could window the values itself, but then draws
 * the whole volume anew: 250 ms a slice in software against 44 (measured), and seconds for a stack.
 */

/** @typedef {import("./types").Renderer} Renderer */
/** @typedef {import("./types").Picture} Picture */
/** @typedef {import("./types").View} View */

const RGBA32 = 2304; // NIfTI's code of the type

/** Settings of both uses of NiiVue: nothing on the image but the image. */
export const BARE = {
  interactive: false,
  dragAndDropEnabled: false,
  isResizeCanvas: false,
  isColorbar: false,
  isOrientationTextVisible: false,
  backColor: [0, 0, 0, 1],
  loadingText: "",
  logLevel: "silent",
};

/**
 * The best renderer of this browser.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {any} library NiiVue, null where it is not installed
 * @returns {Promise<Renderer>}
 */
export async function rendererOf(canvas, library) {
  return library ? NiivueRenderer.on(canvas, library) : new PlainRenderer(canvas);
}

/** @type {boolean | undefined} */
let webgl2;

/** Whether this browser can draw with WebGL2; asked once, for a browser has few contexts. */
export function hasWebgl2() {
  if (webgl2 === undefined) {
    const context = document.createElement("canvas").getContext("webgl2");
    webgl2 = context !== null;
    context?.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return webgl2;
}

/** @implements {Renderer} */
class NiivueRenderer {
  upsideDown = true;

  /** @param {any} niivue @param {any} library @param {HTMLCanvasElement} canvas */
  constructor(niivue, library, canvas) {
    this.niivue = niivue;
    this.library = library;
    this.canvas = canvas;
    /** @type {any} */
    this.volume = null;
    this.size = "";
  }

  /** @param {HTMLCanvasElement} canvas @param {any} library */
  static async on(canvas, library) {
    const niivue = new library.Niivue({ ...BARE, crosshairWidth: 0, isRadiologicalConvention: false });
    await niivue.attachToCanvas(canvas, false);
    niivue.setSliceType(library.SLICE_TYPE.AXIAL);
    return new NiivueRenderer(niivue, library, canvas);
  }

  /** @param {Picture} picture */
  async show(picture) {
    const { rgba, rows, columns, spacing } = picture;
    const size = `${rows}x${columns}x${spacing}`;
    const bytes = new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.byteLength);
    if (size === this.size) {
      this.volume.img = bytes;
      this.niivue.updateGLVolume();
      return;
    }
    const [high, wide] = spacing;
    const affine = [
      ...[wide, 0, 0, (-(columns - 1) / 2) * wide],
      ...[0, high, 0, (-(rows - 1) / 2) * high],
      ...[0, 0, 1, 0, 0, 0, 0, 1],
    ];
    const file = this.library.NVImage.createNiftiArray(
      [columns, rows, 1],
      [wide, high, 1],
      affine,
      RGBA32,
      bytes,
    );
    const volume = await this.library.NVImage.loadFromUrl({ url: "slice.nii", buffer: file.buffer });
    if (this.volume) this.niivue.removeVolume(this.volume);
    this.volume = volume;
    this.size = size;
    this.niivue.addVolume(volume);
  }

  /** @param {View} view */
  look(view) {
    this.niivue.scene.pan2Dxyzmm = [view.panX, view.panY, 0, view.zoom];
    if (this.volume) this.niivue.drawScene();
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    this.canvas.width = width;
    this.canvas.height = height;
  }

  close() {
    this.niivue.cleanup();
    this.niivue.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/** @implements {Renderer} */
class PlainRenderer {
  upsideDown = false;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.slice = document.createElement("canvas");
    /** @type {Picture | null} */
    this.picture = null;
    this.view = { zoom: 1, panX: 0, panY: 0 };
  }

  /** @param {Picture} picture */
  show(picture) {
    this.picture = picture;
    const { rgba, rows, columns } = picture;
    if (this.slice.width !== columns || this.slice.height !== rows) {
      this.slice.width = columns;
      this.slice.height = rows;
    }
    const image = new ImageData(/** @type {any} */ (rgba), columns, rows);
    /** @type {CanvasRenderingContext2D} */ (this.slice.getContext("2d")).putImageData(image, 0, 0);
    this.look(this.view);
  }

  /** @param {View} view */
  look(view) {
    this.view = view;
    const { canvas, context, picture } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!picture) return;
    const layout = new Layout(picture, view, canvas.width, canvas.height);
    const [left, top] = layout.onScreen(-0.5, -0.5);
    const [right, bottom] = layout.onScreen(picture.rows - 0.5, picture.columns - 0.5);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.slice, left, top, right - left, bottom - top);
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.look(this.view);
  }

  close() {}
}

/** Where places of a slice lie on the screen. */
export class Layout {
  /**
   * @param {{rows: number, columns: number, spacing: [number, number]}} slice
   * @param {View} view
   * @param {number} width of the screen's part, in its pixels
   * @param {number} height
   */
  constructor(slice, view, width, height) {
    const { rows, columns, spacing } = slice;
    this.slice = slice;
    this.view = view;
    this.middle = [width / 2, height / 2];
    /** Pixels of the screen in a millimetre, unzoomed. */
    this.scale = Math.min(width / (columns * spacing[1]), height / (rows * spacing[0]));
  }

  /** @param {number} row @param {number} column @returns {[number, number]} x and y */
  onScreen(row, column) {
    const { rows, columns, spacing } = this.slice;
    const { zoom, panX, panY } = this.view;
    const right = (column - (columns - 1) / 2) * spacing[1];
    const up = ((rows - 1) / 2 - row) * spacing[0];
    return [
      this.middle[0] + this.scale * (right * zoom + panX),
      this.middle[1] - this.scale * (up * zoom + panY),
    ];
  }

  /** @param {number} x @param {number} y @returns {[number, number]} row and column, not rounded */
  inSlice(x, y) {
    const { rows, columns, spacing } = this.slice;
    const { zoom, panX, panY } = this.view;
    const right = ((x - this.middle[0]) / this.scale - panX) / zoom;
    const up = ((this.middle[1] - y) / this.scale - panY) / zoom;
    return [(rows - 1) / 2 - up / spacing[0], (columns - 1) / 2 + right / spacing[1]];
  }
}
