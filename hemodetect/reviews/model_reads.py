"""The models' answers for a session's studies, stored once and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sql

from hemodetect.evaluation.levels import called
from hemodetect.prediction.study_prediction import Call, StudyPrediction
from hemodetect.reviews import tables
from hemodetect.storage.database import reading, writing


@dataclass(frozen=True)
class ModelRead:
    """One model's answer for one study of a session.

    Attributes:
        family: key of the model family.
        version: of the bundle; a study has one answer per version if the model in use changed during
            the session.
        probability: of a hemorrhage, for the patient.
        threshold: the bundle's operating point.
        undecided: the model could not tell (`FamilyPrediction.undecided`).
        trained_on: whether the model was trained on this patient, so that its answer does not test
            it; None where this is unknown.
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
        is_called = called(np.array([self.probability]), self.threshold)[0]
        return "hemorrhage" if is_called else "no hemorrhage"


def keep_model_reads(
    session_id: str, study: int, prediction: StudyPrediction, trained_on: Mapping[str, bool]
) -> None:
    """Stores the answers of these versions for a study; answers already stored do not change.

    Args:
        session_id, study: id of the session and number of the study in it.
        prediction: the models' answers.
        trained_on: version -> whether it was trained on this patient, where this is known.
    """
    with writing() as connection:
        stored_versions = {
            (read.family, read.version)
            for read in _stored_reads(connection, session_id)
            if read.study == study
        }
        new_rows = [
            {
                "session": session_id,
                "study": study,
                "family": family,
                "version": family_prediction.version,
                "probability": float(family_prediction.patient),
                "threshold": float(family_prediction.threshold),
                "undecided": family_prediction.undecided,
                # Out of fold, it is the answer of models that had not seen the patient.
                "trained_on": False
                if family_prediction.out_of_fold
                else trained_on.get(family_prediction.version),
            }
            for family, family_prediction in prediction.families.items()
            if (family, family_prediction.version) not in stored_versions
        ]
        if new_rows:
            connection.execute(sql.insert(tables.model_reads), new_rows)


def model_reads(session_id: str) -> list[ModelRead]:
    """All stored answers of a session, ordered by study, family and version."""
    with reading() as connection:
        return _stored_reads(connection, session_id)


def _stored_reads(connection: sql.Connection, session_id: str) -> list[ModelRead]:
    column = tables.model_reads.c
    query = (
        sql.select(
            column.study,
            column.family,
            column.version,
            column.probability,
            column.threshold,
            column.undecided,
            column.trained_on,
        )
        .where(column.session == session_id)
        .order_by(column.study, column.family, column.version)
    )
    return [ModelRead(**row) for row in connection.execute(query).mappings()]
