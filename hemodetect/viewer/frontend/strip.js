// @ts-check
/** The slice strip: a row a model, a column a slice, coloured by the slice's probability. */

import { colourOf } from "./colours.js";

/** @typedef {import("./types").ViewerData} ViewerData */

const ROW = 11;
const GAP = 2;
export const LABELS = 112;
/** Pixels at the left that hold the models' names. */
const TEXT = "#b9c4cd";
const WEIGHT_SHOWN = 3;
/** Times an even share that an attention weight needs for the full colour. */

export class Strip {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} marker laid over the column of the slice in view
   * @param {(slice: number) => void} chosen called with a slice, from 0
   */
  constructor(canvas, marker, chosen) {
    this.canvas = canvas;
    this.marker = marker;
    /** @type {ViewerData | null} */
    this.data = null;
    const go = (/** @type {PointerEvent} */ event) => {
      const slice = this.sliceAt(event.offsetX);
      if (slice !== null) chosen(slice);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      go(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) go(event);
      this.#explain(event);
    });
  }

  /** @param {number} x @returns {number | null} slice, from 0 */
  sliceAt(x) {
    if (!this.data) return null;
    const share = (x - LABELS) / (this.canvas.clientWidth - LABELS);
    return Math.min(Math.max(Math.floor(share * this.data.slices), 0), this.data.slices - 1);
  }

  /** @param {ViewerData} data */
  show(data) {
    this.data = data;
    const rows = data.models.length + (data.attention ? 1 : 0);
    this.canvas.hidden = rows === 0;
    this.canvas.style.height = `${rows * (ROW + GAP) + GAP}px`;
    this.draw();
  }

  /** @param {number} slice from 0 */
  mark(slice) {
    if (!this.data) return;
    // A column of an element above, so that turning slices draws nothing of the strip anew.
    const { slices } = this.data;
    this.marker.hidden = this.canvas.hidden;
    this.marker.style.left = `calc(${LABELS}px + (100% - ${LABELS}px) * ${slice / slices})`;
    this.marker.style.width = `max(3px, calc((100% - ${LABELS}px) / ${slices}))`;
  }

  draw() {
    const { canvas, data } = this;
    if (!data || canvas.hidden || !canvas.clientWidth) return;
    const ratio = globalThis.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale(ratio, ratio);
    context.font = "11px sans-serif";
    const wide = (width - LABELS) / data.slices;
    const space = wide > 6 ? 1 : 0;
    const rows = data.models.map(({ name, probabilities, threshold }) => ({
      name,
      values: probabilities,
      threshold,
    }));
    if (data.attention) {
      const values = data.attention.map((weight) => weight / WEIGHT_SHOWN);
      rows.push({ name: "Attention", values, threshold: null });
    }
    rows.forEach(({ name, values, threshold }, row) => {
      const top = GAP + row * (ROW + GAP);
      context.fillStyle = TEXT;
      context.fillText(name, 0, top + ROW - 2);
      values.forEach((value, slice) => {
        const left = LABELS + slice * wide;
        context.fillStyle = colourOf(value);
        context.fillRect(left, top, Math.max(wide - space, 1), ROW);
        if (threshold !== null && value >= threshold) {
          // Suspicious by a sign as well as by colour.
          context.fillStyle = value > 0.6 ? "#000" : "#fff";
          context.fillRect(left + wide / 2 - 1.5, top + ROW / 2 - 1.5, 3, 3);
        }
      });
    });
  }

  /** @param {PointerEvent} event */
  #explain(event) {
    const slice = this.sliceAt(event.offsetX);
    const row = Math.floor((event.offsetY - GAP) / (ROW + GAP));
    if (slice === null || !this.data || event.offsetX < LABELS) {
      this.canvas.title = "";
      return;
    }
    const model = this.data.models[row];
    const weight = this.data.attention?.[slice];
    if (model) {
      const suspicious = model.threshold !== null && model.probabilities[slice] >= model.threshold;
      const percent = Math.round(100 * model.probabilities[slice]);
      this.canvas.title = `Slice ${slice + 1}, ${model.name}: ${percent} %${suspicious ? ", suspicious" : ""}`;
    } else if (weight !== undefined) {
      this.canvas.title = `Slice ${slice + 1}: ${weight.toFixed(1)} times an even share of the attention`;
    }
  }
}
