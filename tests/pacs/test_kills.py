"""Receiver and models may be killed at any moment: what was acknowledged is judged, once."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from hospital import all_sent, hospital
from pacs_peers import change, patient_files, small_phantom
from pydicom.uid import generate_uid

from hemodetect.pacs import worklist

pytestmark = [pytest.mark.slow, pytest.mark.long]

SENDERS, STUDIES, SLICES, KILLS = 2, 3, 12, 4


def test_every_acknowledged_study_is_judged_in_the_end(
    state: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    phantom = small_phantom(slices=SLICES)
    batches = [
        [
            patient_files(phantom, patient=f"{sender}-{n}", StudyInstanceUID=generate_uid())
            for n in range(STUDIES)
        ]
        for sender in range(SENDERS)
    ]
    chance = random.Random(5)
    with hospital(tmp_path, ["receive", "judge"]) as one:
        change(state, state=one.variables["HEMODETECT_STATE"])
        taken, senders = all_sent(batches, one.receive_port)
        for kill in range(KILLS):
            time.sleep(chance.uniform(0.3, 1.5) if kill % 2 == 0 else chance.uniform(6, 12))
            one.kill("receive" if kill % 2 == 0 else "judge")
        for sender in senders:
            sender.join(120)
            assert not sender.is_alive()
        assert len(taken) == SENDERS * STUDIES
        deadline = time.monotonic() + 120
        while True:
            entries = worklist.entries()
            if len(entries) == len(taken) and all(entry.is_ended for entry in entries):
                break
            assert time.monotonic() < deadline, [(e.study, e.state, e.files) for e in entries]
            assert not one.died()
            time.sleep(0.5)
    assert [entry.files for entry in entries] == [SLICES] * len(taken)
    assert {entry.state for entry in entries} == {"judged"}
