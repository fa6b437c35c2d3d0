// @ts-check
/** Small pictures of the most suspicious slices. */

import { composed, GreyTable } from "./colours.js";
import { element } from "./screen.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */

/** A button with a picture for each of the most suspicious slices. @param {Viewer} viewer */
export function fillThumbs(viewer) {
  const { top } = viewer.data;
  viewer.screen.thumbs.hidden = top.length === 0;
  const title = element("div", { class: "title", textContent: "Most suspicious" });
  viewer.screen.thumbs.replaceChildren(
    title,
    ...top.map(({ slice, probability }) => {
      const button = element(
        "button",
        { type: "button", title: "Mean of the models", "data-slice": slice - 1, "aria-pressed": "false" },
        element("canvas", { width: 128, height: 128 }),
        `Slice ${slice}: ${Math.round(100 * probability)} %`,
      );
      button.addEventListener("click", () => viewer.goTo(slice - 1));
      return button;
    }),
  );
  for (const { slice } of top) drawThumb(viewer, slice - 1);
}

/** The picture of a slice, where it has a button. @param {Viewer} viewer @param {number} slice */
export function drawThumb(viewer, slice) {
  const canvas = /** @type {HTMLCanvasElement | null} */ (
    viewer.screen.thumbs.querySelector(`button[data-slice="${slice}"] canvas`)
  );
  const values = viewer.pixels.slices[slice];
  if (!canvas || !values) return;
  const [rows, columns] = viewer.pixels.shape(slice);
  const rgba = new Uint8ClampedArray(4 * rows * columns);
  const table = new GreyTable();
  table.set(viewer.data.presets[0], false);
  composed(values, rows, columns, table, null, false, rgba);
  const whole = element("canvas", { width: columns, height: rows });
  /** @type {CanvasRenderingContext2D} */ (whole.getContext("2d")).putImageData(
    new ImageData(rgba, columns, rows),
    0,
    0,
  );
  const [high, wide] = viewer.data.spacing ?? [1, 1];
  const scale = Math.min(canvas.width / (columns * wide), canvas.height / (rows * high));
  const [w, h] = [columns * wide * scale, rows * high * scale];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, (canvas.width - w) / 2, (canvas.height - h) / 2, w, h);
}
