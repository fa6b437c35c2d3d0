"""Jobs that earlier versions stored are still read."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from hemodetect.training.jobs.rows import add, read
from hemodetect.training.plan import TrainingPlan

pytestmark = pytest.mark.usefixtures("database")


def test_a_plan_with_the_earlier_names_of_the_backbone_is_read() -> None:
    plan = TrainingPlan("near-east", "svm", "study", backbone="blood", backbone_data="ct-ich")
    stored = asdict(plan)
    stored["teacher"], stored["teacher_data"] = stored.pop("backbone"), stored.pop("backbone_data")
    now = datetime.now(UTC)
    add({"id": "a" * 12, "plan": stored, "device": "cpu", "who": "Tim", "host": "here",
         "state": "finished", "created": now, "heard": now, "versions": {}})  # fmt: skip
    assert read("a" * 12).plan == plan
