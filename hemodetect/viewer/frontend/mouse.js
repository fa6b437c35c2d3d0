// @ts-check
/** What the mouse does on the slice: the wheel turns, a drag windows, zooms, moves or measures. */

/** @typedef {import("./viewer.js").Viewer} Viewer */

/** Of a key or a notch of the wheel. */
export const ZOOM_STEP = 1.15;
const CLICK_PIXELS = 3;
const ZOOM_PIXELS = 150;
/** Of a drag, that change the zoom by the factor e. */
const WHEEL_NOTCH = 40;
/** Wheel movement that turns a slice, in pixels; a notch of a mouse wheel has 100 to 120. */

/** @param {Viewer} viewer */
export function listenToMouse(viewer) {
  const { stage } = viewer.screen;
  viewer.on(stage, "wheel", (event) => wheeled(viewer, event), { passive: false, capture: true });
  viewer.on(stage, "pointerdown", (event) => pressed(viewer, event));
  viewer.on(stage, "pointermove", (event) => pointed(viewer, event));
  viewer.on(stage, "pointerleave", () => {
    viewer.screen.corners.se.textContent = "";
  });
  viewer.on(stage, "contextmenu", (event) => event.preventDefault());
  viewer.on(stage, "dblclick", () => viewer.reset());
}

/** @param {Viewer} viewer @param {WheelEvent} event */
function wheeled(viewer, event) {
  event.preventDefault();
  event.stopPropagation();
  if (event.ctrlKey) {
    viewer.zoom(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP);
    return;
  }
  viewer.wheel += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : WHEEL_NOTCH * event.deltaY;
  if (Math.abs(viewer.wheel) < WHEEL_NOTCH) return;
  viewer.goTo(viewer.slice + Math.sign(viewer.wheel));
  viewer.wheel = 0;
}

/** @param {Viewer} viewer @param {PointerEvent} event */
function pressed(viewer, event) {
  if (viewer.screen.help.contains(/** @type {Node} */ (event.target))) return;
  viewer.root.focus({ preventScroll: true });
  const from = place(viewer, event);
  const button = event.button;
  if (button === 0 && viewer.tool === "mark" && !event.shiftKey) {
    viewer.mark(from);
    return;
  }
  const moving = button === 1 || (button === 0 && event.shiftKey);
  const measuring = button === 0 && !moving && (viewer.tool === "ruler" || viewer.tool === "ellipse");
  const { window, view } = viewer;
  const layout = viewer.layout();
  viewer.screen.stage.setPointerCapture(event.pointerId);
  const drag = new AbortController();
  const move = (/** @type {PointerEvent} */ now) => {
    const right = now.clientX - event.clientX;
    const down = now.clientY - event.clientY;
    if (moving) {
      viewer.view = {
        ...view,
        panX: view.panX + right / layout.scale,
        panY: view.panY - down / layout.scale,
      };
      viewer.redraw(false);
    } else if (measuring) {
      viewer.drawing = {
        kind: /** @type {any} */ (viewer.tool),
        slice: viewer.slice,
        from,
        to: place(viewer, now),
      };
      viewer.redraw(false);
    } else if (button === 2) {
      viewer.zoom((view.zoom * Math.exp(-down / ZOOM_PIXELS)) / viewer.view.zoom);
    } else {
      // As wide a window, as coarse a drag: 200 pixels double the width.
      const gain = Math.max(window.width, 20) / 200;
      viewer.setWindow(window.width + right * gain, window.level - down * gain);
    }
  };
  const done = (/** @type {PointerEvent} */ now) => {
    drag.abort();
    if (viewer.drawing) viewer.measures.push(viewer.drawing);
    viewer.drawing = null;
    viewer.redraw(false);
    const still = Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) < CLICK_PIXELS;
    if (still && button === 0 && viewer.planes.shown) viewer.planes.moveTo(from);
  };
  viewer.screen.stage.addEventListener("pointermove", move, { signal: drag.signal });
  viewer.screen.stage.addEventListener("pointerup", done, { signal: drag.signal });
  viewer.screen.stage.addEventListener("pointercancel", done, { signal: drag.signal });
  event.preventDefault();
}

/** Row and column under the pointer. @param {Viewer} viewer @param {PointerEvent} event @returns {[number, number]} */
function place(viewer, event) {
  const box = viewer.screen.stage.getBoundingClientRect();
  return viewer.layout().inSlice(event.clientX - box.left, event.clientY - box.top);
}

/** @param {Viewer} viewer @param {PointerEvent} event */
function pointed(viewer, event) {
  const [row, column] = place(viewer, event).map(Math.round);
  const [rows, columns] = viewer.pixels.shape(viewer.slice);
  const values = viewer.pixels.slices[viewer.slice];
  const inside = values && row >= 0 && column >= 0 && row < rows && column < columns;
  const unit = viewer.data.pixelType === "int16" ? "HU" : "grey level";
  viewer.screen.corners.se.textContent = inside ? `${values[row * columns + column]} ${unit}` : "";
}
