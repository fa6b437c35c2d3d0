"""The pages: their list, theme and banner. The work is in ``hemodetect``, the drawing in ``app_pages``.

That folder is not called "pages": Streamlit takes such a folder for an app without a router, and tells
the first visitor of any page but Read that it was not found.
"""

import os
from pathlib import Path

# Before TensorFlow is imported; see hemodetect.cli for the reason.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# The app never uses a GPU that a training job may need; each job gets its own (training/jobs/runs.py).
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import streamlit as st

from app_pages.common.banner import banner
from app_pages.common.loaded_models import warm_up
from app_pages.common.retention import remove_expired_studies
from app_pages.common.sign_in import acting_person, require_sign_in
from hemodetect import RESEARCH_USE_ONLY

# An own file: an icon of Streamlit's set is fetched from a host of fonts at every load of the page.
ICON = Path(__file__).parent / "app_pages" / "icon.png"

st.set_page_config(page_title="hemodetect", page_icon=ICON, layout="wide")
warm_up()
remove_expired_studies()
require_sign_in()
# People see only the pages that they may use; the library also checks their rights.
roles = acting_person().roles
pages = [
    st.Page("app_pages/read/read.py", title="Read", icon=":material/radiology:"),
    st.Page("app_pages/compare/compare.py", title="Compare", icon=":material/grid_view:"),
]
if roles & {"reader", "lead"}:
    pages[1:1] = [
        st.Page("app_pages/worklist/worklist.py", title="Worklist", icon=":material/list_alt:"),
        st.Page("app_pages/review/review.py", title="Review", icon=":material/reviews:"),
    ]
if "trainer" in roles:
    pages += [
        st.Page("app_pages/train/train.py", title="Train", icon=":material/model_training:"),
        st.Page("app_pages/models/models.py", title="Models", icon=":material/deployed_code:"),
    ]
page = st.navigation(pages, position="top")
banner(f":material/science: {RESEARCH_USE_ONLY} Do not use it for the care of a patient.")
page.run()
