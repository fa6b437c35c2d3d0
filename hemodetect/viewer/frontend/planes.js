// @ts-check
/** Coronal and sagittal planes of a whole series, by NiiVue. */

import { FAINTEST } from "./colours.js";
import { BARE } from "./renderers.js";
import { element } from "./screen.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */

const INT16 = 4; // NIfTI's codes of the types
const UINT8 = 2;

/** The part of the screen beside the slice, and where the planes cut it. */
export class Planes {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    /** @type {PlanesRenderer | null} */
    this.renderer = null;
    /** Where the planes cut the axial one, in parts of its sides. */
    this.centre = { right: 0.5, down: 0.5 };
  }

  /** Whether they are on the screen. */
  get shown() {
    return this.renderer !== null;
  }

  async toggle() {
    if (this.renderer) this.close();
    else await this.#open();
  }

  async #open() {
    const { data, pixels, screen, root, library } = this.viewer;
    const { step, spacing } = data;
    if (step === null || !spacing || !library) {
      this.viewer.say(data.noPlanes || "Other planes need WebGL2 and NiiVue.");
      return;
    }
    if (pixels.loaded < data.slices) {
      this.viewer.say("Other planes can be shown when all slices have arrived.");
      return;
    }
    this.viewer.say("");
    screen.planes.ariaPressed = "true";
    screen.planesBox.hidden = false;
    const canvas = element("canvas", {
      width: screen.planesBox.clientWidth,
      height: screen.planesBox.clientHeight,
    });
    screen.planesBox.replaceChildren(canvas);
    const renderer = new PlanesRenderer(canvas, library);
    this.renderer = renderer;
    const slices = /** @type {import("./pixels.js").Values[]} */ (pixels.slices);
    const [rows, columns] = pixels.shape(0);
    const distances = /** @type {[number, number, number]} */ ([...spacing, step]);
    const towardsHead = data.upwards ? slices : [...slices].reverse();
    await renderer.open(towardsHead, rows, columns, distances, this.viewer.window);
    if (this.renderer !== renderer) return;
    canvas.onpointerdown = (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#through(event);
    };
    canvas.onpointermove = (event) => {
      if (event.buttons & 1) this.#through(event);
    };
    root.dataset.planes = "shown";
    this.viewer.redraw(false);
    await this.showMap();
  }

  /** Goes to the place under the pointer: the slice there, and the planes through it. @param {PointerEvent} event */
  #through(event) {
    const place = this.renderer?.placeOf(event);
    if (!place) return;
    const { data } = this.viewer;
    this.centre = { right: place.right, down: place.down };
    const up = Math.min(Math.floor(place.up * data.slices), data.slices - 1);
    this.viewer.goTo(data.upwards ? up : data.slices - 1 - up);
    this.viewer.redraw(false);
  }

  /** Lays the heat map of the slice over the planes too, where it has come for all slices. */
  async showMap() {
    const { renderer, viewer } = this;
    const choice = viewer.overlay.choice;
    if (!renderer) return;
    if (!choice?.all) {
      renderer.cover(null);
      viewer.root.dataset.planesMap = "";
      return;
    }
    try {
      await viewer.overlay.maps.ask(choice, 0);
    } catch (error) {
      viewer.failed(error);
      return;
    }
    if (this.renderer !== renderer || viewer.overlay.choice?.key !== choice.key) return;
    const maps = Array.from({ length: viewer.data.slices }, (_, slice) =>
      viewer.overlay.maps.of(choice, slice),
    );
    if (!viewer.data.upwards) maps.reverse();
    await renderer.cover(
      /** @type {import("./pixels.js").HeatMap[]} */ (maps),
      viewer.overlay.opacity,
    );
    viewer.root.dataset.planesMap = choice.key;
  }

  close() {
    if (!this.renderer) return;
    this.renderer.close();
    this.renderer = null;
    const { screen, root } = this.viewer;
    screen.planesBox.hidden = true;
    screen.planes.ariaPressed = "false";
    root.dataset.planes = "";
    this.viewer.redraw(false);
  }

  /** Shows where the slice in view is. */
  follow() {
    const { slice, data } = this.viewer;
    const up = (slice + 0.5) / data.slices;
    this.renderer?.goTo(this.centre.right, this.centre.down, data.upwards ? up : 1 - up);
  }

  /** Puts the planes through a place of the axial slice. @param {[number, number]} place */
  moveTo([row, column]) {
    const [rows, columns] = this.viewer.pixels.shape(this.viewer.slice);
    const share = (/** @type {number} */ at, /** @type {number} */ of) =>
      Math.min(Math.max((at + 0.5) / of, 0), 1);
    this.centre = { right: share(column, columns), down: share(row, rows) };
    this.viewer.redraw(false);
  }
}

/** The planes on their canvas. */
class PlanesRenderer {
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
    /** The heat map over it. @type {any} */
    this.overlay = null;
    /** Counts what was asked for, so that only the last of it is shown. */
    this.covers = 0;
    this.closed = false;
    /** Sides of the whole series. @type {[number, number, number]} */
    this.sides = [1, 1, 1];
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
    this.sides = [wide * step[0], high * step[1], slices.length * step[2]];
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

  /**
   * Lays maps over the series, from the feet to the head; none with null.
   *
   * @param {import("./pixels.js").HeatMap[] | null} maps
   * @param {number} [opacity]
   */
  async cover(maps, opacity = 1) {
    this.covers++;
    const cover = this.covers;
    if (this.overlay) this.niivue.removeVolume(this.overlay);
    this.overlay = null;
    if (!maps?.length || !this.volume) return;
    const { rows, columns } = maps[0];
    const levels = new Uint8Array(rows * columns * maps.length);
    let at = 0;
    for (const map of maps) {
      for (let row = rows - 1; row >= 0; row--) {
        for (let column = columns - 1; column >= 0; column--) levels[at++] = map.levels[row * columns + column];
      }
    }
    const step = [this.sides[0] / columns, this.sides[1] / rows, this.sides[2] / maps.length];
    const affine = [
      ...[step[0], 0, 0, (-(columns - 1) / 2) * step[0]],
      ...[0, step[1], 0, (-(rows - 1) / 2) * step[1]],
      ...[0, 0, step[2], (-(maps.length - 1) / 2) * step[2]],
      ...[0, 0, 0, 1],
    ];
    const { NVImage } = this.library;
    const file = NVImage.createNiftiArray([columns, rows, maps.length], step, affine, UINT8, levels);
    const overlay = await NVImage.loadFromUrl({
      url: "map.nii",
      buffer: file.buffer,
      colormap: "inferno",
      opacity,
      cal_min: FAINTEST,
      cal_max: 255,
      trustCalMinMax: true,
    });
    if (this.closed || cover !== this.covers) return;
    this.overlay = overlay;
    this.niivue.addVolume(overlay);
  }

  /** @param {number} opacity of the heat map */
  fade(opacity) {
    if (this.overlay) this.niivue.setOpacity(1, opacity);
  }

  /** The place under the pointer, in parts of the series; null beside the planes. @param {PointerEvent} event */
  placeOf(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - left) * this.canvas.width) / width;
    const y = ((event.clientY - top) * this.canvas.height) / height;
    const [right, down, up] = this.niivue.canvasPos2frac([x, y]);
    if (right < 0) return null;
    return { right: 1 - right, down: 1 - down, up };
  }

  /** @param {number} right part from the image's left to right @param {number} down @param {number} up of the series */
  goTo(right, down, up) {
    if (!this.volume) return;
    this.niivue.scene.crosshairPos = [1 - right, 1 - down, up];
    this.niivue.drawScene();
  }

  close() {
    this.closed = true;
    this.niivue.cleanup();
    this.niivue._gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/** @param {{width: number, level: number}} window */
function ends(window) {
  return { cal_min: window.level - window.width / 2, cal_max: window.level + window.width / 2 };
}
