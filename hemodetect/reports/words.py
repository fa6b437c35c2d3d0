"""What the models say, in sentences for a radiologist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import Call, StudyPrediction
from hemodetect.registry.bundle import Card

CANNOT_TELL = (
    "Measured on patients the model had not seen, a probability like this one does not settle the"
    " answer at 90 % confidence; or there were too few slices to judge a study by, or no head could"
    " be made out."
)
"""Why a model cannot tell."""
NO_HOUNSFIELD_UNITS = (
    "These are pictures without Hounsfield units. The models take them for slices in a brain"
    " window."
)
"""Of a study whose units are "grey"."""

_NUMBERS = ("none", "one", "two", "three", "four", "five")


def agreement_sentence(prediction: StudyPrediction) -> str:
    """Whether the models (at least one) agree, who stands alone, and who cannot tell."""
    unsure = [family for family, found in prediction.families.items() if found.undecided]
    calls = {family: call for family, call in prediction.calls.items() if family not in unsure}
    if not unsure:
        return _agreement(calls)
    if not calls:
        return "The models cannot tell." if len(unsure) > 1 else "The model cannot tell."
    whom = _listed(unsure)
    return f"{_agreement(calls, 'other ')} {whom[0].upper()}{whom[1:]} cannot tell."


def _agreement(calls: Mapping[str, Call], other: str = "") -> str:
    yes = [family for family, call in calls.items() if call == "hemorrhage"]
    no = [family for family in calls if family not in yes]
    if len(calls) == 1:
        (family,) = calls
        verb = "calls" if yes else "does not call"
        who = (
            f"The other model, {_name(family)},"
            if other
            else f"The only model in use, {_name(family)},"
        )
        return f"{who} {verb} hemorrhage."
    everyone = (
        f"Both {other}models" if len(calls) == 2 else f"All {_NUMBERS[len(calls)]} {other}models"
    )
    if not yes:
        return f"{everyone} call no hemorrhage."
    if not no:
        return f"{everyone} call hemorrhage."
    return (
        f"The models disagree: {_listed(yes)} {'calls' if len(yes) == 1 else 'call'} hemorrhage,"
        f" {_listed(no)} {'does' if len(no) == 1 else 'do'} not."
    )


def reliability_sentence(cards: Mapping[str, Card]) -> str:
    """How far the calls can be trusted, from the out-of-fold figures by patient."""
    useful = [family for family, card in cards.items() if beats_baseline(card)]
    if not cards:
        return "No model is in use."
    if not useful:
        return (
            "On patients held out of training, none of these models was shown to be right more often"
            " than always giving the commoner answer. Read the images; do not lean on the calls."
        )
    if len(useful) == len(cards):
        return (
            "On patients held out of training, each of these models was right more often than always"
            " giving the commoner answer; how often stands on each card."
        )
    return (
        f"On patients held out of training, only {_listed(useful)}"
        f" {'was' if len(useful) == 1 else 'were'} shown to be right more often than always giving"
        " the commoner answer."
    )


def trained_on_sentence(prediction: StudyPrediction, trained_on: Mapping[str, bool]) -> str:
    """Which models were trained on the patient in view; empty where none is known to have been.

    Args:
        prediction: what they say.
        trained_on: version -> whether it was.
    """
    families = [
        family for family, found in prediction.families.items() if trained_on.get(found.version)
    ]
    if not families:
        return ""
    whom = "all models" if len(families) == len(FAMILY_NAMES) else _listed(families)
    was = "was" if len(families) == 1 else "were"
    return (
        f"{whom[0].upper()}{whom[1:]} {was} trained on this patient: what"
        f" {'it says' if len(families) == 1 else 'they say'} here is no test of"
        f" {'it' if len(families) == 1 else 'them'}."
    )


def no_head_sentence(prediction: StudyPrediction) -> str:
    """In how many slices no head could be made out; empty where one was in all of them."""
    unseen = max(
        (
            int((~found.head_found).sum())
            for found in prediction.families.values()
            if found.head_found is not None
        ),
        default=0,
    )
    if not unseen:
        return ""
    n = len(prediction.study.slices)
    return (
        f"In {unseen} of {n:,} slice{'' if n == 1 else 's'} no head could be made out; models that"
        " look for one say nothing of these."
    )


def beats_baseline(card: Card) -> bool:
    """Whether accuracy by patient lies above the majority baseline with its whole 95 % interval."""
    by_patient = card.metrics["patient"]
    return bool(by_patient["accuracy"]["low"] > by_patient["majority_baseline"])


def track_record(card: Card) -> str:
    """How often the model was right on patients held out of its training, and what to know of that."""
    by_patient = card.metrics["patient"]
    accuracy = by_patient["accuracy"]
    return (
        f"On {by_patient['n']} patients held out of training, right for {accuracy['value']:.0%}"
        f" (95 % interval {accuracy['low']:.0%} to {accuracy['high']:.0%}); always giving the"
        f" commoner answer is right for {by_patient['majority_baseline']:.0%}."
        + "".join(f"\n\n{remark}" for remark in card.remarks)
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
