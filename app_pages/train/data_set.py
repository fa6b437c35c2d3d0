"""The labelled data set for training: chosen or uploaded, and audited."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import streamlit as st

from app_pages.common.sign_in import acting_person
from app_pages.common.text import plain
from hemodetect.dataset.audit import Audit, audit
from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.joined import SUFFIX, folders_of
from hemodetect.dataset.lookup import data_folders
from hemodetect.dataset.manifest import is_labelled_set, is_picture_set, uploaded_sets
from hemodetect.dataset.upload import store_set
from hemodetect.errors import HemodetectError
from hemodetect.figures.thumbnails import png_bytes
from hemodetect.models.recipes import RECIPES, Augmentation
from hemodetect.reviews.sessions import reading_from
from hemodetect.settings import settings
from hemodetect.training.augmentation import augmented
from hemodetect.training.jobs.set_removal import remove_data


def choose_data_set() -> Path | None:
    """The labelled set in view; None if this server has none. Draws its audit on request."""
    st.subheader("Data set")
    folders = labelled_sets()
    _upload()
    if not folders:
        searched = ", ".join(str(folder) for folder in data_folders()) or "no folder"
        st.info(
            f"No labelled data set was found in {plain(searched)}. Copy one there, or set"
            " HEMODETECT_DATA to the folder that contains it. The documentation describes the"
            " folder layouts.",
            icon=":material/folder_off:",
        )
        return None
    st.session_state.setdefault("train_data", str(folders[0]))
    if st.session_state["train_data"] not in map(str, folders):
        st.session_state["train_data"] = str(folders[0])
    chosen = st.selectbox(
        "Labelled data set on this server",
        [str(folder) for folder in folders],
        format_func=lambda folder: Path(folder).name,
        key="train_data",
    )
    if Path(chosen).parent == uploaded_sets():
        _removal(Path(chosen))
    if st.button("Audit this data set", icon=":material/search:", key="train_audit"):
        st.session_state["train_audited"] = chosen
    if st.session_state.get("train_audited") == chosen:
        _findings(Path(chosen))
    return Path(chosen)


def _upload() -> None:
    with st.expander("Upload a data set", icon=":material/upload:"):
        packed = st.file_uploader(
            "Zip file of JPEG, PNG or TIFF slices: one folder per class, in it one folder per patient",
            type="zip",
            key=f"train_zip_{st.session_state.setdefault('train_zips', 0)}",
        )
        st.caption(
            "The data set stays on this server until somebody removes it. Upload de-identified pictures"
            " only: text inside the pictures is not removed."
        )
        name = st.text_input("Name of the data set", key="train_set_name").strip()
        save_clicked = st.button("Save", icon=":material/save:", disabled=not (packed and name))
        if packed is None or not save_clicked:
            return
        try:
            with st.spinner("Unpacking and looking for slices"):
                folder = store_set(name, packed, acting_person())
        except HemodetectError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        labelled_sets.clear()
        picture_sets.clear()
        st.session_state["train_zips"] += 1  # a new uploader, so that the zip leaves the memory
        st.session_state["train_data"] = str(folder)
    st.rerun()


def _removal(folder: Path) -> None:
    with st.popover("Remove this data set", icon=":material/delete:"):
        st.write(
            f"{plain(folder.name)} is an uploaded data set. It will be deleted from this server."
        )
        for session in reading_from({folder.name}):
            st.markdown(
                f":material/warning: The review session “{plain(session.title)}” of"
                f" {plain(session.created_by)} is not finished. Its readers can no longer read the"
                " remaining studies of this set."
            )
        if st.button("Remove", type="primary", key="train_remove"):
            try:
                remove_data(folder, acting_person())
            except HemodetectError as error:
                st.error(plain(str(error)), icon=":material/error:")
                return
            labelled_sets.clear()
            picture_sets.clear()
            st.rerun()


@st.cache_data(show_spinner="Looking for labelled data sets", ttl=60, max_entries=1)
def labelled_sets() -> list[Path]:
    """Folders on this server that contain a labelled set."""
    folders = []
    for parent in data_folders():
        candidates = sorted(p for p in parent.iterdir() if _may_be_a_set(p))
        folders += [root for root in candidates if is_labelled_set(root)]
    return folders


@st.cache_data(show_spinner=False, ttl=60, max_entries=1)
def picture_sets() -> list[Path]:
    """Those of `labelled_sets` whose slices the pages can show; the others are for training only."""
    return [folder for folder in labelled_sets() if is_picture_set(folder)]


def backbone_sets() -> dict[Path, str]:
    """What a released blood network may have been trained on, with a name: lists of sets that come with
    the models, where all their folders are there, then the labelled sets.
    """
    found = {}
    for file in sorted((settings().artifacts / "backbone").glob(f"*{SUFFIX}")):
        try:
            folders = folders_of(file)
        except HemodetectError:
            continue
        if all(folder.is_dir() for folder in folders):
            found[file] = ", ".join(folder.name for folder in folders)
    return found | {folder: folder.name for folder in labelled_sets()}


def last_audit(root: Path) -> Audit | None:
    """The audit of this set that the page shows."""
    if st.session_state.get("train_audited") != str(root):
        return None
    return st.session_state.get("train_audit_result")


@st.cache_resource(show_spinner=False, max_entries=4)
def _audited(fingerprint: str, _dataset: Dataset) -> Audit:
    return audit(_dataset)


def _may_be_a_set(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and not folder.name.startswith(".")


def _findings(root: Path) -> None:
    try:
        with st.spinner(f"Auditing {root.name}; the first time takes a minute or two"):
            dataset = open_dataset(root)
            result = _audited(dataset.fingerprint, dataset)
    except HemodetectError as error:
        st.session_state["train_audit_result"] = None
        st.error(str(error), icon=":material/error:")
        return
    st.session_state["train_audit_result"] = result
    st.dataframe(
        [
            {
                "Class": count.name,
                "Slices": count.slices,
                "Patient folders": count.patients,
                "People": count.groups,
            }
            for count in result.classes
        ],
        hide_index=True,
    )
    for line in _warnings(result):
        st.markdown(f":material/warning: {line}")
    _montage(dataset)


def _warnings(result: Audit) -> list[str]:
    lines = [
        f"{plain(' and '.join(join.patients))} count as one person ({plain(join.reason)});"
        " a split keeps them together."
        for join in result.joins
    ]
    lines += [
        plain(shortcut.sentence)
        for shortcut in result.shortcuts
        if shortcut.auroc_patient > shortcut.chance_patient[1]
    ]
    mixed = [folder.patient for folder in result.folders if len(folder.series) > 1]
    if mixed:
        lines.append(f"Several series in one folder: {plain(', '.join(mixed))}.")
    if result.refused:
        # Without the file names: they may contain patients' names.
        reasons = Counter(refused.reason for refused in result.refused)
        (reason, count), *_ = reasons.most_common()
        lines.append(
            f"{len(result.refused)} files cannot be read; {count} of them: {plain(reason)}"
            " `hemodetect audit` lists them."
        )
    return lines or ["The audit found no problem for training."]


def _montage(dataset: Dataset) -> None:
    st.caption(
        "Slices as the networks of the recipe “paper” see them: in each epoch they are randomly"
        " shifted, rotated, zoomed, sheared and flipped."
    )
    random = np.random.default_rng()
    # As many slices of each class; one row per class.
    of_class = [np.flatnonzero(dataset.labels == label) for label in (0, 1)]
    rows = np.concatenate(
        [np.sort(random.choice(slices, min(6, len(slices)), replace=False)) for slices in of_class]
    )
    recipe = RECIPES["cnn", "paper"]
    pictures = augmented(np.asarray(dataset.grey(recipe.size)[rows]), Augmentation(), random)
    labels = dataset.labels[rows]
    for label, caption in enumerate(("labelled none", "labelled hemorrhage")):
        for column, image in zip(st.columns(6), pictures[labels == label], strict=False):
            column.image(png_bytes(image, recipe.size), caption, width="stretch")
