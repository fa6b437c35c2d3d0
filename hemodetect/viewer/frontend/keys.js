// @ts-check
/** What the keys do, wherever the focus is, unless a field or a menu needs them. */

import { ZOOM_STEP } from "./mouse.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */

const PAGE = 10;

/** @param {Viewer} viewer */
export function listenToKeys(viewer) {
  // Before Streamlit, for which R draws the page anew.
  viewer.on(window, "keydown", (event) => pressed(viewer, event), { capture: true });
  viewer.on(document, "pointerup", () => setTimeout(releaseRadio), { capture: true });
}

/** A radio button that was clicked with the mouse would keep the arrow keys to itself. */
function releaseRadio() {
  const active = /** @type {HTMLElement | null} */ (document.activeElement);
  if (active?.getAttribute("role") === "radio") active.blur();
}

/** @param {Viewer} viewer @param {KeyboardEvent} event */
function pressed(viewer, event) {
  const target = /** @type {HTMLElement} */ (event.composedPath()[0]);
  const own = event.composedPath().includes(viewer.root);
  if (event.ctrlKey || event.metaKey || event.altKey || !takesKeys(target, own, event.key)) return;
  const name =
    event.shiftKey && event.code.startsWith("Digit")
      ? `Shift+${event.code.slice(5)}`
      : event.key.toLowerCase();
  if (viewer.data.shortcuts.some(({ key }) => key === name)) {
    event.preventDefault();
    viewer.pressed++;
    viewer.component.setStateValue("shortcut", { key: name, count: viewer.pressed });
    return;
  }
  const action = actions(viewer)[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  action();
}

/** @param {Viewer} viewer @returns {Record<string, () => void>} */
function actions(viewer) {
  const by = (/** @type {number} */ slices) => () => viewer.goTo(viewer.slice + slices);
  return {
    ArrowRight: by(1),
    ArrowDown: by(1),
    ArrowLeft: by(-1),
    ArrowUp: by(-1),
    PageDown: by(PAGE),
    PageUp: by(-PAGE),
    Home: () => viewer.goTo(0),
    End: () => viewer.goTo(viewer.data.slices - 1),
    " ": () => viewer.play(),
    1: () => viewer.preset(0),
    2: () => viewer.preset(1),
    3: () => viewer.preset(2),
    4: () => viewer.preset(3),
    5: () => viewer.preset(4),
    0: () => viewer.reset(),
    i: () => viewer.invert(),
    r: () => viewer.use("ruler"),
    e: () => viewer.use("ellipse"),
    h: () => viewer.overlay.toggle(),
    p: () => viewer.planes.toggle(),
    "+": () => viewer.zoom(ZOOM_STEP),
    "=": () => viewer.zoom(ZOOM_STEP),
    "-": () => viewer.zoom(1 / ZOOM_STEP),
    "?": () => viewer.toggleHelp(),
    Escape: () => {
      viewer.screen.help.hidden = true;
      viewer.use(viewer.tool);
    },
    Delete: () => {
      viewer.measures = viewer.measures.filter(({ slice }) => slice !== viewer.slice);
      viewer.redraw(false);
    },
  };
}

/**
 * Whether a key belongs to the viewer rather than to the element that has the focus.
 *
 * @param {HTMLElement} target
 * @param {boolean} own whether it is a part of the viewer
 * @param {string} key
 */
function takesKeys(target, own, key) {
  const name = target.tagName;
  const field = /** @type {HTMLInputElement} */ (target);
  if (name === "TEXTAREA" || name === "SELECT" || target.isContentEditable) return false;
  if (name === "INPUT") return own && field.type === "range" && field.ariaLabel === "Slice";
  if (
    target.closest('[role="radiogroup"], [role="listbox"], [role="slider"], [role="menu"], [role="dialog"]')
  )
    return false;
  // Space and Enter press the button that has the focus.
  return !(
    (name === "BUTTON" || name === "A" || target.getAttribute("role") === "button") &&
    (key === " " || key === "Enter")
  );
}
