"""The app as a server: Streamlit running `router.py`, and the routes of the slice viewer beside it."""

import streamlit as st
from starlette.middleware import Middleware

from hemodetect.viewer.routes import BrowserCookie, viewer_routes

app = st.App("router.py", routes=viewer_routes(), middleware=[Middleware(BrowserCookie)])
