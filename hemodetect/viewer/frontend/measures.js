// @ts-check
/** Rulers, ellipses and marks on a slice: their numbers and how they are drawn. */

/** @typedef {import("./pixels.js").Values} Values */
/** @typedef {import("./types").Mark} Mark */
/** @typedef {[number, number]} RowColumn */
/** @typedef {{kind: "ruler" | "ellipse", slice: number, from: RowColumn, to: RowColumn}} Measure */

const LINE = "#ffd866";
const MARK = "#5ad1e6";
const FONT = "12px sans-serif";

/**
 * Length of a ruler, in millimetres where the spacing is known, else in pixels.
 *
 * @param {RowColumn} from
 * @param {RowColumn} to
 * @param {[number, number] | null} spacing
 */
export function lengthText(from, to, spacing) {
  const [high, wide] = spacing ?? [1, 1];
  const length = Math.hypot((to[0] - from[0]) * high, (to[1] - from[1]) * wide);
  return spacing ? `${length.toFixed(1)} mm` : `${Math.round(length)} pixels (no scale known)`;
}

/**
 * Mean and standard deviation in an ellipse within a box.
 *
 * @param {Values} values
 * @param {number} rows
 * @param {number} columns
 * @param {RowColumn} from one corner of the box
 * @param {RowColumn} to the other
 */
export function ellipseStatistics(values, rows, columns, from, to) {
  const middle = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
  const half = [Math.abs(to[0] - from[0]) / 2, Math.abs(to[1] - from[1]) / 2];
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (
    let row = Math.max(0, Math.ceil(middle[0] - half[0]));
    row <= Math.min(rows - 1, middle[0] + half[0]);
    row++
  ) {
    const y = half[0] ? (row - middle[0]) / half[0] : 0;
    for (
      let column = Math.max(0, Math.ceil(middle[1] - half[1]));
      column <= Math.min(columns - 1, middle[1] + half[1]);
      column++
    ) {
      const x = half[1] ? (column - middle[1]) / half[1] : 0;
      if (x * x + y * y > 1) continue;
      const value = values[row * columns + column];
      count++;
      sum += value;
      squares += value * value;
    }
  }
  const mean = sum / count;
  return { count, mean, deviation: Math.sqrt(Math.max(squares / count - mean * mean, 0)) };
}

/**
 * @param {CanvasRenderingContext2D} context in CSS pixels
 * @param {import("./renderers.js").Layout} layout
 * @param {Measure} measure
 * @param {string} text
 */
export function drawMeasure(context, layout, measure, text) {
  const [x1, y1] = layout.onScreen(...measure.from);
  const [x2, y2] = layout.onScreen(...measure.to);
  context.strokeStyle = LINE;
  context.lineWidth = 1.5;
  context.beginPath();
  if (measure.kind === "ruler") {
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
    for (const [x, y] of [
      [x1, y1],
      [x2, y2],
    ]) {
      context.moveTo(x - 4, y - 4);
      context.lineTo(x + 4, y + 4);
      context.moveTo(x - 4, y + 4);
      context.lineTo(x + 4, y - 4);
    }
  } else {
    const [wide, high] = [Math.abs(x2 - x1) / 2, Math.abs(y2 - y1) / 2];
    context.ellipse((x1 + x2) / 2, (y1 + y2) / 2, wide, high, 0, 0, 2 * Math.PI);
  }
  context.stroke();
  label(context, text, Math.max(x1, x2) + 8, Math.min(y1, y2), LINE);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./renderers.js").Layout} layout
 * @param {Mark} mark
 */
export function drawMark(context, layout, mark) {
  const [x, y] = layout.onScreen(mark.row, mark.column);
  context.strokeStyle = MARK;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, 9, 0, 2 * Math.PI);
  context.moveTo(x - 14, y);
  context.lineTo(x - 4, y);
  context.moveTo(x + 4, y);
  context.lineTo(x + 14, y);
  context.stroke();
  if (mark.label) label(context, mark.label, x + 14, y - 8, MARK);
}

/**
 * Lines where the other planes cut the slice.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {import("./renderers.js").Layout} layout
 * @param {number} row
 * @param {number} column
 */
export function drawPlaneLines(context, layout, row, column) {
  const [x, y] = layout.onScreen(row, column);
  context.strokeStyle = "rgba(90,169,230,0.6)";
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, 0);
  context.lineTo(x, context.canvas.clientHeight);
  context.moveTo(0, y);
  context.lineTo(context.canvas.clientWidth, y);
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {string} text @param {number} x @param {number} y @param {string} colour */
function label(context, text, x, y, colour) {
  context.font = FONT;
  const width = context.measureText(text).width;
  const left = Math.min(x, context.canvas.clientWidth - width - 8);
  const top = Math.max(y, 14);
  context.fillStyle = "rgba(0,0,0,0.6)";
  context.fillRect(left - 3, top - 12, width + 6, 17);
  context.fillStyle = colour;
  context.fillText(text, left, top + 1);
}
