// @ts-check
/** Grey levels of a window, and colours of maps and probabilities. Lightness rises along each scale, so
 *  that the order survives without colour vision. */

/** @typedef {import("./pixels.js").Values} Values */
/** @typedef {import("./pixels.js").HeatMap} HeatMap */

/** Ends and eight places between of "inferno" and "cividis" (matplotlib, CC0). */
const SCALES = {
  inferno: [
    "000004",
    "1b0c41",
    "4a0c6b",
    "781c6d",
    "a52c60",
    "cf4446",
    "ed6925",
    "fb9b06",
    "f7d13d",
    "fcffa4",
  ],
  cividis: [
    "00224e",
    "123570",
    "3b496c",
    "575d6d",
    "707173",
    "8a8678",
    "a59c74",
    "c3b369",
    "e1cc55",
    "fee838",
  ],
};

/** @typedef {keyof typeof SCALES} Scale */

/** 256 colours as [red, green, blue] one after another. @param {Scale} name */
export function colourTable(name) {
  const stops = SCALES[name].map((hex) => [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)));
  const table = new Uint8Array(256 * 3);
  for (let level = 0; level < 256; level++) {
    const place = (level / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const [a, b] = [stops[low][channel], stops[low + 1][channel]];
      table[3 * level + channel] = Math.round(a + (b - a) * (place - low));
    }
  }
  return table;
}

const INFERNO = colourTable("inferno");
const CIVIDIS = colourTable("cividis");

/** CSS colour of a share from 0 to 1. @param {number} share */
export function colourOf(share) {
  const at = 3 * Math.round(255 * Math.min(Math.max(share, 0), 1));
  return `rgb(${CIVIDIS[at]},${CIVIDIS[at + 1]},${CIVIDIS[at + 2]})`;
}

/** CSS gradient of the scale of maps. */
export const MAP_GRADIENT = `linear-gradient(to right, ${SCALES.inferno.map((hex) => `#${hex}`).join(",")})`;
/** CSS gradient of the scale of probabilities. */
export const PROBABILITY_GRADIENT = `linear-gradient(to right, ${SCALES.cividis.map((hex) => `#${hex}`).join(",")})`;

const SIGNED = 32768;
/** Levels of a map, of 255, up to which a place is left as it is: a veil over all hides the anatomy. */
export const FAINTEST = 25;

/** Grey level of each possible value, in a window. */
export class GreyTable {
  constructor() {
    this.levels = new Uint8Array(2 * SIGNED);
    this.key = "";
  }

  /** @param {{width: number, level: number}} window @param {boolean} inverted */
  set(window, inverted) {
    const key = `${window.width}/${window.level}/${inverted}`;
    if (key === this.key) return;
    this.key = key;
    const low = window.level - window.width / 2;
    const factor = 255 / window.width;
    for (let at = 0; at < this.levels.length; at++) {
      const grey = Math.round(Math.min(Math.max((at - SIGNED - low) * factor, 0), 255));
      this.levels[at] = inverted ? 255 - grey : grey;
    }
  }
}

/**
 * A slice in a window, with a map over it, as RGBA.
 *
 * @param {Values} values
 * @param {number} rows
 * @param {number} columns
 * @param {GreyTable} table
 * @param {{map: Uint8Array, opacity: number} | null} overlay map at the slice's size
 * @param {boolean} upsideDown whether the lowest row comes first
 * @param {Uint8ClampedArray} rgba where it is written to
 */
export function composed(values, rows, columns, table, overlay, upsideDown, rgba) {
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, rows * columns);
  const { levels } = table;
  for (let row = 0; row < rows; row++) {
    const from = row * columns;
    const to = (upsideDown ? rows - 1 - row : row) * columns;
    for (let column = 0; column < columns; column++) {
      const grey = levels[values[from + column] + SIGNED];
      pixels[to + column] = 0xff000000 | (grey * 0x010101);
    }
    if (overlay) {
      for (let column = 0; column < columns; column++) {
        const heat = overlay.map[from + column];
        if (heat < FAINTEST) continue;
        const cover = (overlay.opacity * (heat - FAINTEST)) / (255 - FAINTEST);
        const at = 4 * (to + column);
        for (let channel = 0; channel < 3; channel++) {
          const base = rgba[at + channel];
          rgba[at + channel] = base + cover * (INFERNO[3 * heat + channel] - base);
        }
      }
    }
  }
}

/**
 * A map at a slice's size, bilinear; it covers the whole slice.
 *
 * @param {HeatMap} heat
 * @param {number} rows
 * @param {number} columns
 */
export function enlarged(heat, rows, columns) {
  const large = new Uint8Array(rows * columns);
  const { levels } = heat;
  const across = samples(columns, heat.columns);
  const down = samples(rows, heat.rows);
  for (let row = 0; row < rows; row++) {
    const upper = down.first[row] * heat.columns;
    const lower = down.second[row] * heat.columns;
    const low = down.share[row];
    for (let column = 0; column < columns; column++) {
      const left = across.first[column];
      const right = across.second[column];
      const by = across.share[column];
      const above = levels[upper + left] + by * (levels[upper + right] - levels[upper + left]);
      const below = levels[lower + left] + by * (levels[lower + right] - levels[lower + left]);
      large[row * columns + column] = above + low * (below - above);
    }
  }
  return large;
}

/** Which two places of `small` each of `large` lies between, and how near to the second. @param {number} large @param {number} small */
function samples(large, small) {
  const first = new Int32Array(large);
  const second = new Int32Array(large);
  const share = new Float32Array(large);
  for (let at = 0; at < large; at++) {
    const place = Math.min(Math.max(((at + 0.5) * small) / large - 0.5, 0), small - 1);
    first[at] = Math.floor(place);
    second[at] = Math.min(first[at] + 1, small - 1);
    share[at] = place - first[at];
  }
  return { first, second, share };
}
