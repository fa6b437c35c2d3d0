// @ts-check
/** The heat map over the slice: its menu, its legend, and the map of the slice in view. */

import { enlarged, MAP_GRADIENT } from "./colours.js";
import { Maps } from "./pixels.js";
import { element } from "./screen.js";

/** @typedef {import("./types").MapChoice} MapChoice */
/** @typedef {import("./viewer.js").Viewer} Viewer */

const FIRST_OPACITY = 0.6;

export class Overlay {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.maps = new Maps(viewer.data.address);
    this.opacity = FIRST_OPACITY;
    this.key = "";
    this.shown = false;
    /** The last one enlarged. @type {{key: string, map: Uint8Array} | null} */
    this.enlarged = null;
  }

  /** Takes over what maps there are now. */
  update() {
    const { maps } = this.viewer.data;
    const { mapBox, mapMenu } = this.viewer.screen;
    if (!maps.some(({ key }) => key === this.key)) {
      this.key = maps[0]?.key ?? "";
      this.shown = false;
      this.viewer.planes?.showMap();
    }
    mapBox.hidden = maps.length === 0;
    const off = element("option", { value: "", textContent: "off" });
    const options = maps.map(({ key, name }) => element("option", { value: key, textContent: name }));
    mapMenu.replaceChildren(off, ...options);
    this.#tell();
  }

  /** @param {string} key "" for none */
  choose(key) {
    this.shown = key !== "";
    if (key) this.key = key;
    this.#tell();
    this.viewer.redraw();
    this.viewer.planes.showMap();
  }

  /** What is shown; null where nothing is. */
  get choice() {
    return (this.shown && this.viewer.data.maps.find(({ key }) => key === this.key)) || null;
  }

  toggle() {
    if (this.viewer.data.maps.length) this.choose(this.shown ? "" : this.key);
  }

  #tell() {
    const { mapMenu, opacity, legend } = this.viewer.screen;
    const key = this.shown ? this.key : "";
    mapMenu.value = key;
    opacity.disabled = !this.shown;
    legend.hidden = !this.shown;
    this.viewer.root.dataset.map = key;
  }

  /**
   * The map of the slice in view at its size, null where none is shown or it has not come; then the
   * viewer draws again when it has.
   *
   * @param {number} rows
   * @param {number} columns
   */
  of(rows, columns) {
    const { slice, root } = this.viewer;
    const { choice } = this;
    if (!choice) return null;
    const key = `${choice.key}/${slice}`;
    if (this.enlarged?.key !== key) {
      const heat = this.maps.of(choice, slice);
      if (!heat) {
        this.#explain(choice, true);
        this.#ask(choice, slice);
        return null;
      }
      this.enlarged = { key, map: enlarged(heat, rows, columns) };
    }
    this.#explain(choice, false);
    root.dataset.mapDrawn = key;
    return { map: this.enlarged.map, opacity: this.opacity };
  }

  /** @param {MapChoice} choice @param {number} slice */
  #ask(choice, slice) {
    this.maps.ask(choice, slice).then(
      () => {
        if (slice === this.viewer.slice) this.viewer.redraw();
      },
      (error) => this.viewer.failed(error),
    );
  }

  /** @param {MapChoice} choice @param {boolean} waiting */
  #explain(choice, waiting) {
    const { legend } = this.viewer.screen;
    const shown = `${choice.key} ${waiting}`;
    if (legend.dataset.shown === shown) return;
    legend.dataset.shown = shown;
    const scale = element("div", { class: "scale" });
    scale.style.background = MAP_GRADIENT;
    const end = (/** @type {string} */ text) => element("span", { textContent: text });
    legend.replaceChildren(
      choice.name + (waiting ? ": being drawn" : ""),
      scale,
      element("div", { class: "ends" }, end("none"), end(choice.scale)),
      element("div", { class: "about", textContent: choice.note }),
    );
  }
}
