"""What a structured report of results is built of: its codes, its items, and text as DICOM allows it.

Codes of DICOM and SNOMED CT stand where one says just what is meant. Where none does, a private
code or text stands: an operating point is here a probability, while DICOM's "CAD Operating Point" is
a place on a curve, and public sources disagree on the codes of the types of hemorrhage.
"""

from __future__ import annotations

import unicodedata
from typing import TypeVar

from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

SCHEME = "99HEMODETECT"
"""Designator of the private codes below."""
PATIENT_PROBABILITY = Code("patient-prob", SCHEME, "Probability of hemorrhage for the patient")
OPERATING_POINT = Code(
    "operating-point", SCHEME, "Operating point: least probability called hemorrhage"
)
SLICE_PROBABILITY = Code(
    "slice-prob", SCHEME, "Probability of hemorrhage for a most suspicious slice"
)
TOP_SLICES = Code("top-slices", SCHEME, "Most suspicious slices")
MAP_METHOD = Code("map-method", SCHEME, "Method of the heat map")
CONFIDENCE = Code("confidence", SCHEME, "Confidence of the reader, 1 (guess) to 5 (certain)")
TYPE = Code("type", SCHEME, "Type of hemorrhage")
_NUMBER_OF_SLICE = Code("slice-number", SCHEME, "Number of the slice in its series, from 1")
_NAMED_SLICE = Code("reader-slice", SCHEME, "Number of a slice named by the reader, from 1")

# pydicom's dictionary gives the first a second meaning, and has neither of the others.
HEMORRHAGE = Code("1386000", "SCT", "Intracranial hemorrhage")
EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
_PRESENCE = Code("705057003", "SCT", "Presence")
_PRESENT = {
    "hemorrhage": codes.cid240.Present,
    "no hemorrhage": codes.cid240.Absent,
    "cannot tell": codes.cid240.Undetermined,
    "unsure": codes.cid240.Undetermined,
}
_SLICES = Code("{slice}", "UCUM", "slice")

CONTAINS = sr.RelationshipTypeValues.CONTAINS
_LINE = 64
_SPACES = str.maketrans({"\t": " ", **dict.fromkeys("\r\v\f\x85\u2028\u2029", "\n")})
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_Item = TypeVar("_Item", bound=sr.ContentItem)


def presence(call: str) -> sr.CodeContentItem:
    """Whether there is a hemorrhage.

    Args:
        call: "hemorrhage", "no hemorrhage", "cannot tell" or "unsure".
    """
    return sr.CodeContentItem(_PRESENCE, _PRESENT[call], CONTAINS)


def slice_number(
    index: int, relation: sr.RelationshipTypeValues = sr.RelationshipTypeValues.HAS_PROPERTIES
) -> sr.NumContentItem:
    """Which slice its parent is about; `index` is from 0."""
    return number(_NUMBER_OF_SLICE, int(index) + 1, _SLICES, relation)


def named_slice(place: int) -> sr.NumContentItem:
    """A slice that the reader named, by its number from 1."""
    return number(_NAMED_SLICE, int(place), _SLICES)


def number(
    name: Code,
    value: float,
    unit: Code = codes.UCUM.NoUnits,
    relation: sr.RelationshipTypeValues = CONTAINS,
) -> sr.NumContentItem:
    """A whole number as such, any other to six decimals."""
    if isinstance(value, int):
        item = sr.NumContentItem(name, value, unit, relationship_type=relation)
        item.MeasuredValueSequence[0].NumericValue = str(value)  # highdicom writes 9 as 9.0
        return item
    return sr.NumContentItem(name, round(float(value), 6), unit, relationship_type=relation)


def text(
    name: Code, value: str, relation: sr.RelationshipTypeValues = CONTAINS
) -> sr.TextContentItem:
    """`value` is taken as it is: see `clean_line` and `clean_text`."""
    return sr.TextContentItem(name, value, relation)


def with_children(item: _Item, *children: sr.ContentItem) -> _Item:
    """`item` itself, with these and no other items under it."""
    item.ContentSequence = sr.ContentSequence(children)
    return item


def clean_line(given: str) -> str:
    """`given` on one line of 64 characters at most, cleaned; "not stated" where nothing is left."""
    return " ".join(clean_text(given, _LINE).split()) or "not stated"


def clean_text(given: str, limit: int) -> str:
    """`given` without what DICOM allows in no text (PS3.5, 6.1.3), cut to `limit` characters.

    Line ends become CR LF. Marks that turn the direction of what follows go too, lest it be read
    in another order than it was written.
    """
    taken = given[: 4 * limit].replace("\r\n", "\n").translate(_SPACES)
    kept = "".join(
        c
        for c in taken
        if c == "\n" or (unicodedata.category(c) not in ("Cc", "Cs") and c not in _TURNING)
    )
    lines = kept.strip().replace("\n", "\r\n")
    if len(lines) <= limit and len(given) <= 4 * limit:
        return lines
    return lines[: limit - 1].rstrip() + "…"
