// @ts-check
/** The elements of the viewer; what they do is given to them. */

import { PROBABILITY_GRADIENT } from "./colours.js";

/** @typedef {import("./types").ViewerData} ViewerData */
/**
 * @typedef {{
 *   preset: (at: number) => void, width: (value: number) => void, level: (value: number) => void,
 *   invert: () => void, reset: () => void, tool: (name: "ruler" | "ellipse" | "mark") => void,
 *   planes: () => void, play: () => void, map: (key: string) => void, opacity: (value: number) => void,
 *   help: () => void, slice: (slice: number) => void,
 * }} Actions
 */
/** @typedef {ReturnType<typeof buildScreen>} Screen */

const HELP = [
  ["Wheel, arrow keys", "next or previous slice"],
  ["Page Up, Page Down", "ten slices"],
  ["Home, End", "first or last slice"],
  ["Space", "play and stop"],
  ["Left drag", "window: sideways the width, up and down the level"],
  ["Right drag, Ctrl + wheel, + and −", "zoom"],
  ["Middle drag, Shift + drag", "move the image"],
  ["Double click, 0", "reset window, zoom and position"],
  ["1 to 5", "windows"],
  ["I", "invert"],
  ["R, E", "ruler, ellipse: drag on the image; Delete removes them from the slice"],
  ["H", "show or hide the heat map"],
  ["P", "coronal and sagittal planes; a click on the slice moves them there"],
  ["?", "this list"],
];

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, unknown>} [properties] "class" and names with a hyphen become attributes
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class" || key.includes("-")) made.setAttribute(key, String(value));
    else Object.assign(made, { [key]: value });
  }
  made.append(...children);
  return made;
}

/** @param {string} text @param {string} title @param {() => void} action */
function button(text, title, action) {
  return element("button", { type: "button", textContent: text, title, onclick: action });
}

/** @param {string} name @param {number} least @param {number} step @param {(value: number) => void} action */
function numberField(name, least, step, action) {
  const field = element("input", {
    type: "number",
    min: String(least),
    step: String(step),
    title: name,
    "aria-label": name,
  });
  field.onchange = () => action(Number(field.value));
  return field;
}

/** @param {ViewerData} data @param {Actions} actions */
export function buildScreen(data, actions) {
  const stage = buildStage(data);
  const controls = buildControls(data, actions);
  const bottom = buildBottom(data, actions);
  const planesBox = element("div", { class: "planes", hidden: true });
  const thumbs = element("div", { class: "thumbs", hidden: true });
  const note = element("div", { class: "note", role: "status" });
  const root = element(
    "div",
    {
      class: "viewer",
      tabIndex: 0,
      role: "group",
      "aria-label": "Slice viewer",
      "data-testid": "slice-viewer",
      "data-slices": data.slices,
      "data-drawn": 0,
    },
    controls.bar,
    element("div", { class: "main" }, stage.stage, planesBox, thumbs),
    bottom.bottom,
    note,
  );
  return { ...stage, ...controls, ...bottom, planesBox, thumbs, note, root };
}

/** @param {ViewerData} data */
function buildStage(data) {
  const corner = (/** @type {string} */ place) => element("div", { class: `corner ${place}` });
  const corners = { nw: corner("nw"), ne: corner("ne"), sw: corner("sw"), se: corner("se") };
  const edges = ["l", "r", "t", "b"];
  const letters = (data.letters ?? []).map((letter, edge) =>
    element("div", { class: `letter ${edges[edge]}`, textContent: letter }),
  );
  const image = element("canvas", { "aria-hidden": "true" });
  const over = element("canvas", { "aria-hidden": "true" });
  const legend = element("div", { class: "legend", hidden: true });
  const help = element("div", { class: "help", hidden: true }, helpTable(data));
  const stage = element(
    "div",
    { class: "stage" },
    image,
    over,
    legend,
    ...Object.values(corners),
    ...letters,
    help,
  );
  return { stage, image, over, legend, help, corners };
}

/** @param {ViewerData} data */
function helpTable(data) {
  const own = data.shortcuts.map(({ key, meaning }) => [key.length === 1 ? key.toUpperCase() : key, meaning]);
  const cell = (/** @type {string} */ text) => element("td", { textContent: text });
  return element(
    "table",
    {},
    ...[...HELP, ...own].map(([keys, meaning]) => element("tr", {}, cell(keys), cell(meaning))),
  );
}

/** @param {ViewerData} data @param {Actions} actions */
function buildControls(data, actions) {
  const hu = data.pixelType === "int16";
  const unit = hu ? "HU" : "grey levels";
  const presets = data.presets.map(({ name, width, level }, at) =>
    button(name, `Window ${width}/${level} (key ${at + 1})`, () => actions.preset(at)),
  );
  const width = numberField(`Window width (${unit})`, 1, hu ? 5 : 1, actions.width);
  const level = numberField(`Window level (${unit})`, -2000, hu ? 5 : 1, actions.level);
  const invert = button("Invert", "Dark becomes bright (key I)", actions.invert);
  const tools = {
    ruler: button("Ruler", "Measure a length: drag on the image (key R)", () => actions.tool("ruler")),
    ellipse: button("Ellipse", "Mean and SD: drag on the image (key E)", () => actions.tool("ellipse")),
    mark: button("Mark the bleed", "Click the place of the bleed", () => actions.tool("mark")),
  };
  const planes = button("Planes", data.noPlanes || "Coronal and sagittal (key P)", actions.planes);
  planes.disabled = data.step === null;
  const play = button("Play", "Play the slices (space)", actions.play);
  const mapMenu = element("select", { "aria-label": "Heat map", onchange: () => actions.map(mapMenu.value) });
  const opacity = element("input", {
    type: "range",
    min: "0.1",
    max: "1",
    step: "0.1",
    value: "0.6",
    title: "Opacity of the heat map",
    "aria-label": "Opacity of the heat map",
    oninput: () => actions.opacity(Number(opacity.value)),
  });
  const mapBox = group(element("label", {}, "Heat map", mapMenu), opacity);
  const bar = element(
    "div",
    { class: "bar" },
    group(...presets),
    group(
      element("label", {}, "W", width),
      element("label", {}, "L", level),
      invert,
      button("Reset", "Window, zoom and position as at first (double click)", actions.reset),
    ),
    group(tools.ruler, tools.ellipse, tools.mark, planes, play),
    mapBox,
    button("?", "Keys and mouse", actions.help),
  );
  return { bar, presets, width, level, invert, tools, planes, play, mapMenu, opacity, mapBox };
}

/** @param {Node[]} items */
function group(...items) {
  return element("div", { class: "group" }, ...items);
}

/** @param {ViewerData} data @param {Actions} actions */
function buildBottom(data, actions) {
  const strip = element("canvas", { role: "img", "aria-label": "Probability of each slice, a row a model" });
  const marker = element("div", { class: "marker", hidden: true });
  const stripBox = element("div", { class: "strip" }, strip, marker);
  const slider = element("input", {
    type: "range",
    min: "1",
    max: String(data.slices),
    "aria-label": "Slice",
    oninput: () => actions.slice(Number(slider.value) - 1),
  });
  const sliderText = element("span");
  const scale = element("div", { class: "scale" });
  scale.style.background = PROBABILITY_GRADIENT;
  const attentionKey = element("span", {
    textContent: "Attention: dark none, bright 3 times an even share or more.",
  });
  const key = element(
    "div",
    { class: "key", hidden: true },
    "0 %",
    scale,
    "100 %: the slice shows a hemorrhage; a dot: suspicious.",
    attentionKey,
  );
  const bottom = element(
    "div",
    { class: "bottom" },
    stripBox,
    element("div", { class: "slider", hidden: data.slices === 1 }, sliderText, slider),
    key,
  );
  return { bottom, strip, marker, slider, sliderText, key, attentionKey };
}
