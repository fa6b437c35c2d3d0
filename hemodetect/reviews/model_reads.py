"""What the models said of a session's studies, kept as it was first shown or judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sql

from hemodetect.prediction.study_prediction import Call, StudyPrediction
from hemodetect.reviews import tables
from hemodetect.storage.database import reading, writing


@dataclass(frozen=True)
class ModelRead:
    """One model's answer for one study of a session.

    Attributes:
        family: its key.
        version: of the bundle; where another came into use in mid-session, a study has both.
        probability: for the patient.
        threshold: the bundle's operating point.
        undecided: it could not tell (`FamilyPrediction.undecided`).
        trained_on: whether it was trained on this patient, so that its answer is no test of it; None
            where that is not known.
    """

    study: int
    family: str
    version: str
    probability: float
    threshold: float
    undecided: bool
    trained_on: bool | None = None

    @property
    def call(self) -> Call:
        """The call at the threshold."""
        return "hemorrhage" if self.probability >= self.threshold else "no hemorrhage"


def keep_model_reads(
    session_id: str, study: int, prediction: StudyPrediction, trained_on: Mapping[str, bool]
) -> None:
    """Keeps what these versions of the models say of a study; what was kept before stays as it is.

    Args:
        session_id, study: of the session.
        prediction: what they say.
        trained_on: version -> whether it was trained on this patient, where that is known.
    """
    with writing() as connection:
        kept = {
            (read.family, read.version)
            for read in _kept(connection, session_id)
            if read.study == study
        }
        new = [
            {
                "session": session_id,
                "study": study,
                "family": family,
                "version": found.version,
                "probability": float(found.patient),
                "threshold": float(found.threshold),
                "undecided": found.undecided,
                "trained_on": trained_on.get(found.version),
            }
            for family, found in prediction.families.items()
            if (family, found.version) not in kept
        ]
        if new:
            connection.execute(sql.insert(tables.model_reads), new)


def model_reads(session_id: str) -> list[ModelRead]:
    """Of every study that the models have been asked about, by study, family and version."""
    with reading() as connection:
        return _kept(connection, session_id)


def _kept(connection: sql.Connection, session_id: str) -> list[ModelRead]:
    kept = tables.model_reads.c
    columns = (kept.study, kept.family, kept.version, kept.probability, kept.threshold)
    query = (
        sql.select(*columns, kept.undecided, kept.trained_on)
        .where(kept.session == session_id)
        .order_by(kept.study, kept.family, kept.version)
    )
    return [ModelRead(**row) for row in connection.execute(query).mappings()]
