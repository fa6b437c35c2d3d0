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
const INT16 = 4;
const UINT8 = 2;

/** Settings of both uses of NiiVue: nothing on the image but the image. */
const BARE = {
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

/** Whether this browser can draw with WebGL2. */
export function hasWebgl2() {
  try {
    return document.createElement("canvas").getContext("webgl2") !== null;
  } catch {
    return false;
  }
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

/** Coronal and sagittal planes of a whole series, by NiiVue. */
export class Planes {
  /** @param {HTMLCanvasElement} canvas @param {any} library */
  constructor(canvas, library) {
    this.canvas = canvas;
    this.library = library;
    this.niivue = new library.Niivue({
      ...BARE,
      crosshairWidth: 1,
      crosshairColor: [0.35, 0.66, 0.9, 0.8],
      isRadiologicalConvention: true,
      isOrientationTextVisible: true,
      fontColor: [0.9, 0.9, 0.9, 1],
    });
    /** @type {any} */
    this.volume = null;
  }

  /**
   * @param {(import("./pixels.js").Values)[]} slices all of them, from the feet to the head
   * @param {number} rows
   * @param {number} columns
   * @param {[number, number, number]} spacing between rows, columns and slices
   * @param {{width: number, level: number}} window
   */
  async open(slices, rows, columns, spacing, window) {
    const every = Math.max(1, Math.ceil(Math.max(rows, columns) / 256));
    const [high, wide] = [Math.ceil(rows / every), Math.ceil(columns / every)];
    const signed = slices[0] instanceof Int16Array;
    const volume = new (signed ? Int16Array : Uint8Array)(high * wide * slices.length);
    let at = 0;
    for (const values of slices) {
      for (let row = high - 1; row >= 0; row--) {
        for (let column = wide - 1; column >= 0; column--) {
          volume[at++] = values[row * every * columns + column * every];
        }
      }
    }
    // To NiiVue, x goes to the patient's right to left, y from back to front, z to the head.
    const step = [spacing[1] * every, spacing[0] * every, spacing[2]];
    const affine = [
      ...[step[0], 0, 0, (-(wide - 1) / 2) * step[0]],
      ...[0, step[1], 0, (-(high - 1) / 2) * step[1]],
      ...[0, 0, step[2], (-(slices.length - 1) / 2) * step[2]],
      ...[0, 0, 0, 1],
    ];
    const { NVImage, SLICE_TYPE } = this.library;
    const bytes = new Uint8Array(volume.buffer);
    const file = NVImage.createNiftiArray(
      [wide, high, slices.length],
      step,
      affine,
      signed ? INT16 : UINT8,
      bytes,
    );
    await this.niivue.attachToCanvas(this.canvas, false);
    this.volume = await NVImage.loadFromUrl({
      url: "series.nii",
      buffer: file.buffer,
      colormap: "gray",
      ...ends(window),
      trustCalMinMax: true,
    });
    this.niivue.setCustomLayout([
      { sliceType: SLICE_TYPE.CORONAL, position: [0, 0, 1, 0.5] },
      { sliceType: SLICE_TYPE.SAGITTAL, position: [0, 0.5, 1, 0.5] },
    ]);
    this.niivue.addVolume(this.volume);
  }

  /** @param {{width: number, level: number}} window */
  window(window) {
    if (!this.volume) return;
    Object.assign(this.volume, ends(window));
    this.niivue.updateGLVolume();
  }

  /** @param {number} right part from the image's left to right @param {number} down @param {number} up of the series */
  goTo(right, down, up) {
    if (!this.volume) return;
    this.niivue.scene.crosshairPos = [1 - right, 1 - down, up];
    this.niivue.drawScene();
  }

  close() {
    this.niivue.cleanup();
    this.niivue._gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/** @param {{width: number, level: number}} window */
function ends(window) {
  return { cal_min: window.level - window.width / 2, cal_max: window.level + window.width / 2 };
}
