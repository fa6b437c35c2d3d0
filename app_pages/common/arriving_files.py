"""Says how many files of an upload have arrived; the page itself learns of them when all have."""

from __future__ import annotations

import streamlit as st

# Streamlit sends a folder file by file, and shows nothing of it for half a minute where there are a
# thousand. A folder that is dropped counts as one file until its own files arrive.
_COUNTS_UPLOADS = """<script>
(() => {
  if (window.hemodetectArrivals) return;
  window.hemodetectArrivals = true;
  let expected = 0, arrived = 0, box = null, timer = null;
  const hide = () => { box?.remove(); box = null; };
  const show = () => {
    if (!box) {
      box = document.createElement("div");
      box.setAttribute("role", "status");
      box.style.cssText = "position:fixed;left:50%;bottom:2rem;transform:translateX(-50%);" +
        "z-index:1000;padding:.6rem 1.2rem;border-radius:.5rem;background:#1a2026;" +
        "border:1px solid #5aa9e6;color:#dfe5ea;font-family:inherit";
      document.body.appendChild(box);
    }
    const of = expected > 1 ? ` of ${expected.toLocaleString("en")}` : "";
    box.textContent = arrived || expected < 2
      ? `Receiving files: ${arrived.toLocaleString("en")}${of} have arrived`
      : `Receiving ${expected.toLocaleString("en")} files`;
  };
  const begin = (count) => {
    expected = count;
    arrived = 0;
    clearTimeout(timer);
    if (!count) return hide();
    show();
    timer = setTimeout(hide, 120000);  // the browser may have refused them all
  };
  document.addEventListener("change", (event) => {
    if (event.target?.type === "file") begin(event.target.files.length);
  }, true);
  document.addEventListener("drop", (event) => {
    if (event.target?.closest?.("[data-testid=stFileUploader]")) {
      begin(event.dataTransfer?.items?.length || 1);
    }
  }, true);
  new PerformanceObserver((list) => {
    const more = list.getEntries().filter((e) => e.name.includes("/_stcore/upload_file/")).length;
    if (!box || !more) return;
    arrived += more;
    show();
    clearTimeout(timer);
    timer = setTimeout(hide, arrived < expected ? 20000 : 1500);
  }).observe({type: "resource"});
})();
</script>"""


def count_arriving_files() -> None:
    """Adds the count to a page with a file upload."""
    st.html(_COUNTS_UPLOADS, unsafe_allow_javascript=True)
