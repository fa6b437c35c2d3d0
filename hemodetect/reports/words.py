"""What the models say, in sentences for a radiologist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hemodetect.imaging.study import Study
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import Call, StudyPrediction
from hemodetect.registry.bundle import Card

CANNOT_TELL = (
    "A probability like this one leaves the answer open: the range was set so that at most 1 in 10"
    " patients held out of training would lose the right answer; at another hospital it may be more. Or"
    " the study has too few slices, no head was found in them, or their order is not known."
)
"""Why a model cannot tell."""
STOPPED = "No model was run"
"""Of a study that the check stopped."""
NO_HOUNSFIELD_UNITS = (
    "These pictures have no Hounsfield units. The models assume that they were saved in a brain"
    " window."
)
"""Of a study whose units are "grey"."""

PUBLISHED_CAUTION = (
    "These are the study's five models, repeated as published. On patients they had never seen they"
    " were not shown to be better than always answering “no hemorrhage”. They are here for comparison,"
    " not for reading."
)
"""Of the answers of the published models."""

_NAMED_SERIES = 4
_NUMBERS = ("none", "one", "two", "three", "four", "five")


def series_sentences(study: Study) -> list[str]:
    """Which series is read and why the others are not: one or two sentences."""
    count, series = len(study.series), study.series[study.chosen]
    which = "" if count == 1 else f"series {study.chosen + 1} of {count}, "
    reason = f" (not read by default: {series.set_aside})" if series.set_aside else ""
    sentences = [f"Read: {which}{series.description}{reason}."]
    others = [
        f"series {number}, {other.description} ({other.set_aside or 'read by default'})"
        for number, other in enumerate(study.series, start=1)
        if other is not series
    ]
    if others:
        more = len(others) - _NAMED_SERIES
        named = "; ".join(others[:_NAMED_SERIES])
        sentences.append(f"Set aside: {named}{f'; and {more} more' if more > 0 else ''}.")
    return sentences


def agreement_sentence(prediction: StudyPrediction) -> str:
    """Whether the models agree, which call hemorrhage if not, and which cannot tell."""
    unsure = [family for family, answer in prediction.families.items() if answer.undecided]
    calls = {family: call for family, call in prediction.calls.items() if family not in unsure}
    if not unsure:
        return _agreement(calls)
    if not calls:
        return "The models cannot tell." if len(unsure) > 1 else "The model cannot tell."
    names = _listed(unsure)
    return f"{_agreement(calls, 'other ')} {names[0].upper()}{names[1:]} cannot tell."


def _agreement(calls: Mapping[str, Call], other: str = "") -> str:
    yes = [family for family, call in calls.items() if call == "hemorrhage"]
    no = [family for family in calls if family not in yes]
    if len(calls) == 1:
        (family,) = calls
        verb = "calls" if yes else "does not call"
        subject = (
            f"The other model, {_name(family)},"
            if other
            else f"The only model in use, {_name(family)},"
        )
        return f"{subject} {verb} hemorrhage."
    all_models = (
        f"Both {other}models" if len(calls) == 2 else f"All {_NUMBERS[len(calls)]} {other}models"
    )
    if not yes:
        return f"{all_models} call no hemorrhage."
    if not no:
        return f"{all_models} call hemorrhage."
    return (
        f"The models disagree: {_listed(yes)} {'calls' if len(yes) == 1 else 'call'} hemorrhage,"
        f" {_listed(no)} {'does' if len(no) == 1 else 'do'} not."
    )


def reliability_sentence(cards: Mapping[str, Card]) -> str:
    """How far the calls can be trusted, from the out-of-fold figures by patient."""
    useful = [family for family, card in cards.items() if beats_baseline(card)]
    if not cards:
        return "No model is in use."
    if all(card.split == "paper" for card in cards.values()):
        return "Do not rely on these calls."
    if not useful:
        return (
            "On patients held out of training, none of these models was shown to be more accurate than"
            " the majority-class baseline. Read the images; do not rely on the calls."
        )
    if len(useful) == len(cards):
        return (
            "On patients held out of training, each of these models was more accurate than the"
            " majority-class baseline; each card gives its accuracy."
        )
    return (
        f"On patients held out of training, only {_listed(useful)}"
        f" {'was' if len(useful) == 1 else 'were'} shown to be more accurate than the majority-class"
        " baseline."
    )


def trained_on_sentence(prediction: StudyPrediction, trained_on: Mapping[str, bool]) -> str:
    """Which models were trained on the patient in view, or that others answer in their place; empty
    if no such model is known.

    Args:
        prediction: the models' answers.
        trained_on: version -> whether that model was trained on the patient.
    """
    families = [
        family
        for family, answer in prediction.families.items()
        if trained_on.get(answer.version) and not answer.out_of_fold
    ]
    if not families:
        return _out_of_fold_sentence(prediction)
    names = "all models" if len(families) == len(FAMILY_NAMES) else _listed(families)
    was = "was" if len(families) == 1 else "were"
    return (
        f"{names[0].upper()}{names[1:]} {was} trained on this patient, so"
        f" {'its' if len(families) == 1 else 'their'} answers here do not test"
        f" {'it' if len(families) == 1 else 'them'}."
    )


def _out_of_fold_sentence(prediction: StudyPrediction) -> str:
    families = [family for family, answer in prediction.families.items() if answer.out_of_fold]
    if not families:
        return ""
    all_of_them = len(families) == len(prediction.families)
    models = "the models" if all_of_them else _listed(families)
    return (
        f"This patient is in the training set of {models}. Shown is what models said that had not seen"
        " this patient (out-of-fold predictions)."
    )


def no_head_sentence(prediction: StudyPrediction) -> str:
    """In how many slices no head was found; empty if every slice has one."""
    without_head = max(
        (
            int((~answer.head_found).sum())
            for answer in prediction.families.values()
            if answer.head_found is not None
        ),
        default=0,
    )
    if not without_head:
        return ""
    n = len(prediction.study.slices)
    return (
        f"No head was found in {without_head} of {n:,} slice{'' if n == 1 else 's'}; the models skip"
        f" {'it' if without_head == 1 else 'them'}."
    )


def beats_baseline(card: Card) -> bool:
    """Whether the 95 % interval of accuracy by patient lies above the majority-class baseline."""
    by_patient = card.metrics["patient"]
    return bool(by_patient["accuracy"]["low"] > by_patient["majority_baseline"])


def track_record(card: Card) -> str:
    """Accuracy on held-out patients, the majority-class baseline, and the remarks of the card."""
    if card.split == "paper":
        by_slice = card.metrics["slice"]
        return (
            f"Accuracy on the study's test slices: {by_slice['accuracy']['value']:.0%}, where always"
            f" answering “no hemorrhage” has {by_slice['majority_baseline']:.0%}. Their patients were"
            " in training too."
        )
    by_patient = card.metrics["patient"]
    accuracy = by_patient["accuracy"]
    return (
        f"Accuracy on {by_patient['n']} patients held out of training: {accuracy['value']:.0%}"
        f" (95 % interval {accuracy['low']:.0%} to {accuracy['high']:.0%}). Majority-class baseline:"
        f" {by_patient['majority_baseline']:.0%}."
        + "".join(f"\n\n{remark}" for remark in card.remarks)
    )


def pointing_sentence(card: Card, method: str) -> str:
    """How often this kind of map points at a bleed; empty if not measured."""
    found = card.points_at_bleeds(method)
    if found is None:
        return ""
    hits, slices = found
    return (
        f"Points at the bleed in {100 * hits / slices:.0f} of 100 labelled slices of patients held out"
        " of training."
    )


def _name(family: str) -> str:
    name = FAMILY_NAMES[family]
    if name.isupper():
        return f"the {name}"
    plain = name[0].lower() + name[1:]
    return f"the {plain}" if name.endswith("RNN") else plain


def _listed(families: Sequence[str]) -> str:
    names = [_name(family) for family in families]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
