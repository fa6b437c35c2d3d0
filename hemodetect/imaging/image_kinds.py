"""Kinds of DICOM images that are no plain slices of a head, by Image Type and Body Part Examined."""

from __future__ import annotations

from collections.abc import Sequence

_LOCALIZERS = {"LOCALIZER", "SCOUT", "TOPOGRAM"}
_PROJECTIONS = {
    "MIP", "MAX_IP", "MAXIP", "MIN_IP", "MINIP", "MPVR", "PROJECTION IMAGE", "VOLREN", "VRT", "SSD",
    "VOLUME_RENDER", "SURFACE_RENDER", "3D", "THICK_MIP", "CPR", "CURVED",
}  # fmt: skip
_MAPS = {
    "PERFUSION", "CBF", "CBV", "RCBF", "RCBV", "MTT", "TTP", "TTD", "TMAX", "PERMEABILITY", "DOSE",
    "DOSE_INFO", "MASK", "WATER", "CALCIUM", "Z_EFF", "ZEFF", "ELECTRON_DENSITY", "RHO",
}  # fmt: skip
_MAP_WORDS = ("IODINE", "PERFUSION", "UNCERTAINTY")
_CAPTURES = {"SCREEN SAVE", "SCREEN CAPTURE", "SECONDARY CAPTURE"}
_NOT_HEAD = {
    "CHEST", "ABDOMEN", "PELVIS", "LSPINE", "TSPINE", "LUNG", "HEART", "LIVER", "KIDNEY", "KNEE",
    "HIP", "ANKLE", "FOOT", "HAND", "WRIST", "ELBOW", "SHOULDER", "EXTREMITY", "LEG", "ARM",
}  # fmt: skip


def set_aside_reason(image_type: Sequence[str], captured: bool, body_part: str) -> str | None:
    """Why images of this kind are not read by default; None where they are.

    Args:
        image_type: values of Image Type, in capitals.
        captured: they are secondary captures.
        body_part: Body Part Examined.
    """
    kinds = set(image_type)
    if kinds & _LOCALIZERS:
        return "localizer"
    if captured or kinds & _CAPTURES:
        return "secondary capture"
    if kinds & _PROJECTIONS:
        return "projection or rendering"
    if kinds & _MAPS or any(word in kind for kind in kinds for word in _MAP_WORDS):
        return "computed map"
    return "another part of the body" if body_part in _NOT_HEAD else None
