// @ts-check
/** The slice viewer. All that a reader does with slices happens here; the server hears of the slice at
 *  rest and of a mark, and of nothing else. */

import { annotate, drawOver } from "./annotations.js";
import { composed, GreyTable } from "./colours.js";
import { listenToKeys } from "./keys.js";
import { listenToMouse } from "./mouse.js";
import { Overlay } from "./overlay.js";
import { Gone, Pixels } from "./pixels.js";
import { Planes } from "./planes.js";
import { hasWebgl2, Layout, rendererOf } from "./renderers.js";
import { buildScreen, element } from "./screen.js";
import { Strip } from "./strip.js";
import { drawThumb, fillThumbs } from "./thumbs.js";

/** @typedef {import("./types").Component} Component */
/** @typedef {import("./types").ViewerData} ViewerData */
/** @typedef {import("./measures.js").Measure} Measure */
/** @typedef {"window" | "ruler" | "ellipse" | "mark"} Tool */

const REST_MS = 300;
const PLAY_MS = 90;
const MOST_ZOOM = 16;

/** @type {WeakMap<object, Viewer>} */
const VIEWERS = new WeakMap();
/** @type {Map<string, Promise<any>>} */
const LIBRARIES = new Map();

/** Called by Streamlit with each run of the page. @param {Component} component */
export default function mounted(component) {
  const root = component.parentElement;
  let viewer = VIEWERS.get(root);
  if (viewer && viewer.data.address !== component.data.address) {
    viewer.close();
    viewer = undefined;
  }
  if (viewer) viewer.update(component);
  else VIEWERS.set(root, new Viewer(component));
  return () => {
    VIEWERS.get(root)?.close();
    VIEWERS.delete(root);
  };
}

/** @param {string} address @returns {Promise<any>} */
function library(address) {
  let loaded = LIBRARIES.get(address);
  if (!loaded) {
    loaded = import(address);
    LIBRARIES.set(address, loaded);
    loaded.catch(() => LIBRARIES.delete(address));
  }
  return loaded;
}

export class Viewer {
  /** @param {Component} component */
  constructor(component) {
    this.component = component;
    this.data = component.data;
    this.slice = this.data.start - 1;
    this.reported = this.slice;
    this.orders = this.data.order.count;
    this.view = { zoom: 1, panX: 0, panY: 0 };
    this.window = { ...this.data.presets[0] };
    this.inverted = false;
    /** @type {Tool} */
    this.tool = "window";
    /** @type {Measure[]} */
    this.measures = [];
    /** @type {Measure | null} */
    this.drawing = null;
    this.closed = false;
    this.drawn = 0;
    this.pressed = 0;
    this.frame = 0;
    this.pictureChanged = true;
    this.wheel = 0;
    this.table = new GreyTable();
    /** @type {any} NiiVue, once it is loaded; null without it. */
    this.library = null;
    /** @type {import("./types").Renderer | null} */
    this.renderer = null;
    this.buffers = [new Uint8ClampedArray(0), new Uint8ClampedArray(0)];
    this.listeners = new AbortController();
    this.screen = buildScreen(this.data, {
      preset: (at) => this.preset(at),
      width: (value) => this.setWindow(value, this.window.level),
      level: (value) => this.setWindow(this.window.width, value),
      invert: () => this.invert(),
      reset: () => this.reset(),
      tool: (name) => this.use(name),
      planes: () => this.planes.toggle(),
      play: () => this.play(),
      map: (key) => this.overlay.choose(key),
      opacity: (value) => {
        this.overlay.opacity = value;
        this.planes.renderer?.fade(value);
        this.redraw();
      },
      help: () => this.toggleHelp(),
      slice: (slice) => this.goTo(slice),
    });
    this.root = this.screen.root;
    this.overlay = new Overlay(this);
    this.planes = new Planes(this);
    this.image = this.screen.image;
    this.strip = new Strip(this.screen.strip, this.screen.marker, (slice) => this.goTo(slice));
    this.pixels = new Pixels(
      this.data,
      (slice) => this.#arrived(slice),
      (error) => this.failed(error),
    );
    this.#fill();
    this.pixels.load();
    this.#open();
    this.update(component);
  }

  /** @param {Component} component */
  update(component) {
    this.component = component;
    this.data = component.data;
    const { order, models } = this.data;
    this.overlay.update();
    this.strip.show(this.data);
    this.screen.key.hidden = models.length === 0;
    this.screen.attentionKey.hidden = this.data.attention === null;
    fillThumbs(this);
    this.screen.tools.mark.hidden = !this.data.markable;
    if (!this.data.markable && this.tool === "mark") this.use("window");
    if (order.count > this.orders) this.goTo(order.slice - 1);
    this.orders = order.count;
    this.root.style.setProperty("--viewer-height", this.data.height);
    this.#report();
    this.redraw(false);
  }

  close() {
    this.closed = true;
    this.listeners.abort();
    this.sizes.disconnect();
    this.pixels.close();
    this.renderer?.close();
    this.planes.close();
    clearInterval(this.playing);
    clearTimeout(this.resting);
    clearTimeout(this.windowResting);
    cancelAnimationFrame(this.frame);
    this.root.remove();
  }

  // ---- what is on the screen -------------------------------------------------------------------

  #fill() {
    const place = /** @type {any} */ (this.component.parentElement).querySelector(".place");
    place.replaceChildren(this.screen.root);
    listenToMouse(this);
    listenToKeys(this);
    annotate(this);
  }

  /** @param {EventTarget} target @param {string} name @param {(event: any) => void} action @param {object} [options] */
  on(target, name, action, options) {
    target.addEventListener(name, action, { signal: this.listeners.signal, ...options });
  }

  async #open() {
    let loaded = null;
    if (!hasWebgl2()) {
      this.say(
        "This browser cannot draw with WebGL2, so slices are shown in a plain view, without other planes.",
      );
    } else if (!this.data.niivue) {
      this.say(
        "NiiVue is not installed on the server (`make env` fetches it), so slices are shown in a plain view, without other planes.",
      );
    } else {
      try {
        loaded = await library(String(new URL(this.data.niivue, document.baseURI)));
      } catch {
        this.say(
          "The viewer NiiVue could not be loaded, so slices are shown in a plain view, without other planes.",
        );
      }
    }
    if (this.closed) return;
    this.library = loaded;
    if (!loaded) {
      this.screen.planes.disabled = true;
      this.screen.planes.title = "Other planes need WebGL2 and NiiVue.";
    }
    try {
      this.renderer = await rendererOf(this.image, loaded);
    } catch {
      const plain = element("canvas");
      this.image.replaceWith(plain);
      this.image = plain;
      this.renderer = await rendererOf(plain, null);
      this.say("WebGL2 failed in this browser, so slices are shown in a plain view.");
    }
    this.root.dataset.renderer = this.renderer.upsideDown ? "niivue" : "plain";
    this.sizes = new ResizeObserver(() => this.#resized());
    this.sizes.observe(this.screen.stage);
    this.#resized();
  }

  sizes = new ResizeObserver(() => {});

  #resized() {
    const { clientWidth: width, clientHeight: height } = this.screen.stage;
    if (!width || !height || this.closed) return;
    const ratio = devicePixelRatio || 1;
    this.renderer?.resize(Math.round(width * ratio), Math.round(height * ratio));
    this.screen.over.width = Math.round(width * ratio);
    this.screen.over.height = Math.round(height * ratio);
    this.strip.draw();
    this.redraw();
  }

  // ---- slices ----------------------------------------------------------------------------------

  /** Shows a slice, from 0. @param {number} slice */
  goTo(slice) {
    const wanted = Math.min(Math.max(Math.round(slice), 0), this.data.slices - 1);
    if (wanted === this.slice) return;
    this.slice = wanted;
    this.pixels.current = wanted;
    this.drawing = null;
    this.redraw();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.#report(), REST_MS);
  }

  /** Tells the server of the slice at rest, unless it is busy with this page. */
  #report() {
    if (!this.data.silent && this.slice !== this.reported) {
      this.reported = this.slice;
      this.component.setStateValue("slice", this.slice + 1);
    }
  }

  /** @param {number} slice */
  #arrived(slice) {
    if (slice === this.slice) this.redraw();
    drawThumb(this, slice);
    if (this.pixels.loaded === this.data.slices) this.root.dataset.loaded = "all";
    if (this.pixels.loaded < this.data.slices)
      this.screen.sliderText.title = `${this.pixels.loaded} of ${this.data.slices} slices have arrived`;
    else this.screen.sliderText.title = "";
  }

  /** @param {unknown} error */
  failed(error) {
    this.say(
      error instanceof Gone
        ? "The images of this study are not on the server any more, or this browser refuses its cookie. Open the study again."
        : "The images could not be fetched. Check the connection, then load the page again.",
    );
  }

  /** @param {string} sentence */
  say(sentence) {
    this.screen.note.textContent = sentence;
  }

  /** Draws with the next frame. */
  redraw(picture = true) {
    this.pictureChanged ||= picture;
    if (this.frame || this.closed) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.#draw();
    });
  }

  async #draw() {
    const { slice } = this;
    const values = this.pixels.slices[slice];
    annotate(this);
    if (!this.renderer || this.closed) return;
    if (values === undefined) {
      this.screen.corners.sw.textContent += "\nloading";
      return;
    }
    if (this.pictureChanged) {
      this.pictureChanged = false;
      const [rows, columns] = this.pixels.shape(slice);
      this.table.set(this.window, this.inverted);
      const size = 4 * rows * columns;
      if (this.buffers[0].length !== size)
        this.buffers = [new Uint8ClampedArray(size), new Uint8ClampedArray(size)];
      this.buffers.reverse();
      const rgba = this.buffers[0];
      composed(
        values,
        rows,
        columns,
        this.table,
        this.overlay.of(rows, columns),
        this.renderer.upsideDown,
        rgba,
      );
      this.renderer.look(this.view);
      await this.renderer.show({ rgba, rows, columns, spacing: this.data.spacing ?? [1, 1] });
    } else {
      this.renderer.look(this.view);
    }
    if (this.closed) return;
    drawOver(this);
    this.drawn++;
    this.root.dataset.drawn = String(this.drawn);
    this.root.dataset.shown = String(slice + 1);
  }

  /** @returns {Layout} in CSS pixels */
  layout() {
    const [rows, columns] = this.pixels.shape(this.slice);
    return new Layout(
      { rows, columns, spacing: this.data.spacing ?? [1, 1] },
      this.view,
      this.screen.stage.clientWidth,
      this.screen.stage.clientHeight,
    );
  }

  // ---- windows ---------------------------------------------------------------------------------

  /** @param {number} width @param {number} level */
  setWindow(width, level) {
    if (!Number.isFinite(width) || !Number.isFinite(level)) return;
    this.window = {
      name: "",
      width: Math.min(Math.max(width, 1), 8000),
      level: Math.min(Math.max(level, -2000), 4000),
    };
    clearTimeout(this.windowResting);
    this.windowResting = setTimeout(() => this.planes.renderer?.window(this.window), REST_MS);
    this.redraw();
  }

  /** @param {number} at */
  preset(at) {
    const preset = this.data.presets[at];
    if (preset) this.setWindow(preset.width, preset.level);
  }

  invert() {
    this.inverted = !this.inverted;
    this.redraw();
  }

  reset() {
    this.view = { zoom: 1, panX: 0, panY: 0 };
    this.inverted = false;
    this.preset(0);
  }

  // ---- tools -----------------------------------------------------------------------------------

  /** @param {[number, number]} place */
  mark([row, column]) {
    const [rows, columns] = this.pixels.shape(this.slice);
    const mark = { slice: this.slice + 1, row: Math.round(row), column: Math.round(column) };
    if (mark.row < 0 || mark.column < 0 || mark.row >= rows || mark.column >= columns) return;
    this.data = { ...this.data, marks: [{ ...mark, label: "your mark" }] };
    this.use("window");
    this.redraw(false);
    this.component.setStateValue("mark", mark);
  }

  /** @param {Tool} tool */
  use(tool) {
    this.tool = this.tool === tool ? "window" : tool;
    this.root.dataset.tool = this.tool;
    annotate(this);
  }

  /** @param {number} factor */
  zoom(factor) {
    this.view = { ...this.view, zoom: bounded(this.view.zoom * factor) };
    this.redraw(false);
  }

  play() {
    clearInterval(this.playing);
    const stopped = this.playing !== undefined;
    this.playing = stopped
      ? undefined
      : setInterval(() => this.goTo((this.slice + 1) % this.data.slices), PLAY_MS);
    this.screen.play.textContent = stopped ? "Play" : "Stop";
  }

  toggleHelp() {
    this.screen.help.hidden = !this.screen.help.hidden;
  }

  /** @type {ReturnType<typeof setInterval> | undefined} */
  playing;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  resting;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  windowResting;
}

/** @param {number} zoom */
function bounded(zoom) {
  return Math.min(Math.max(zoom, 0.5), MOST_ZOOM);
}
