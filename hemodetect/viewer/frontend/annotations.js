// @ts-check
/** What stands beside and over the slice: text in the corners, the state of the controls, measures, marks. */

import { drawMark, drawMeasure, drawPlaneLines, ellipseStatistics, lengthText } from "./measures.js";

/** @typedef {import("./measures.js").Measure} Measure */
/** @typedef {import("./viewer.js").Viewer} Viewer */

/** Text in the corners and the state of the controls. @param {Viewer} viewer */
export function annotate(viewer) {
  const { data, slice, window } = viewer;
  const position = data.positions.length ? `${data.positions[slice].toFixed(1)} mm` : "";
  viewer.screen.corners.nw.textContent = [data.study, data.names[slice], data.turned && "turned for display"]
    .filter(Boolean)
    .join("\n");
  viewer.screen.corners.ne.textContent = `W ${Math.round(window.width)}  L ${Math.round(window.level)}${viewer.inverted ? "\ninverted" : ""}`;
  viewer.screen.corners.sw.textContent = `Slice ${slice + 1} of ${data.slices}${position ? `\n${position}` : ""}`;
  viewer.screen.corners.nw.title = data.turned;
  viewer.screen.sliderText.textContent = `Slice ${slice + 1} of ${data.slices}`;
  viewer.screen.slider.value = String(slice + 1);
  viewer.screen.slider.setAttribute("aria-valuetext", `Slice ${slice + 1} of ${data.slices}`);
  viewer.strip.mark(slice);
  viewer.root.dataset.slice = String(slice + 1);
  viewer.root.dataset.window = `${Math.round(window.width)}/${Math.round(window.level)}`;
  if (!viewer.screen.width.matches(":focus")) viewer.screen.width.value = String(Math.round(window.width));
  if (!viewer.screen.level.matches(":focus")) viewer.screen.level.value = String(Math.round(window.level));
  viewer.screen.presets.forEach((button, at) => {
    const preset = data.presets[at];
    button.ariaPressed = String(preset.width === window.width && preset.level === window.level);
  });
  viewer.screen.invert.ariaPressed = String(viewer.inverted);
  for (const [name, button] of Object.entries(viewer.screen.tools))
    button.ariaPressed = String(name === viewer.tool);
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (
    viewer.screen.thumbs.querySelectorAll("button")
  )) {
    button.ariaPressed = String(button.dataset.slice === String(slice));
  }
  viewer.planes.follow();
}

/** Measures, lines of the planes, and marks over the slice. @param {Viewer} viewer */
export function drawOver(viewer) {
  const ratio = devicePixelRatio || 1;
  const context = /** @type {CanvasRenderingContext2D} */ (viewer.screen.over.getContext("2d"));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, viewer.screen.over.width, viewer.screen.over.height);
  const layout = viewer.layout();
  const shown = viewer.measures.filter(({ slice }) => slice === viewer.slice);
  viewer.root.dataset.measures = shown.map((measure) => measureText(viewer, measure)).join("; ");
  for (const measure of viewer.drawing ? [...shown, viewer.drawing] : shown)
    drawMeasure(context, layout, measure, measureText(viewer, measure));
  if (viewer.planes.shown) {
    const [rows, columns] = viewer.pixels.shape(viewer.slice);
    drawPlaneLines(
      context,
      layout,
      viewer.planes.centre.down * rows - 0.5,
      viewer.planes.centre.right * columns - 0.5,
    );
  }
  for (const mark of viewer.data.marks) if (mark.slice === viewer.slice + 1) drawMark(context, layout, mark);
}

/** @param {Viewer} viewer @param {Measure} measure */
function measureText(viewer, measure) {
  if (measure.kind === "ruler") return lengthText(measure.from, measure.to, viewer.data.spacing);
  const values = viewer.pixels.slices[measure.slice];
  const [rows, columns] = viewer.pixels.shape(measure.slice);
  if (!values) return "";
  const { count, mean, deviation } = ellipseStatistics(values, rows, columns, measure.from, measure.to);
  if (!count) return "";
  const unit = viewer.data.pixelType === "int16" ? " HU" : " (grey level)";
  const area = viewer.data.spacing
    ? `, ${((count * viewer.data.spacing[0] * viewer.data.spacing[1]) / 100).toFixed(1)} cm²`
    : `, ${count} pixels`;
  return `${mean.toFixed(0)} ± ${deviation.toFixed(0)}${unit}${area}`;
}
