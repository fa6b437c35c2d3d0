"""Components of ours in the browser: a module and a style sheet that the app's own server sends."""

from __future__ import annotations

import streamlit as st

from hemodetect.viewer.routes import ADDRESS

CODE = f"{ADDRESS.lstrip('/')}/code"
"""Address of the modules, below that of the app."""


def browser_component(name: str, module: str) -> st.components.v2.types.ComponentRenderer:
    """A component whose code is `module`.js and whose style is `module`.css.

    A module, so that its parts import one another; an address of this server, so that nothing is
    inlined into each run of a page.
    """
    return st.components.v2.component(
        name,
        html='<link rel="stylesheet"><div class="place"></div>',
        js=f"""export default async function (component) {{
          const base = new URL("{CODE}/", document.baseURI);
          const sheet = component.parentElement.querySelector("link");
          if (!sheet.href) sheet.href = new URL("{module}.css", base);
          const {{ default: mounted }} = await import(new URL("{module}.js", base));
          return mounted(component);
        }}""",
    )
