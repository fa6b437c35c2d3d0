"""The models read what was received, and their results go back to the PACS under the right patient."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO

import numpy as np
import pytest
from pacs_peers import PASSWORD, USER, Orthanc, change, patient_files, small_phantom
from pydicom import dcmread

from hemodetect.pacs import deliveries, inbox, judging, worklist
from hemodetect.pacs.deliveries import deliver_due, queue_results
from hemodetect.pacs.outcomes import PacsError, Refused
from hemodetect.pacs.sending import send
from hemodetect.phantom.head import Bleed
from hemodetect.prediction.study_prediction import FamilyPrediction
from hemodetect.registry.releases import ReleasedModel, load_releases
from hemodetect.settings import settings
from hemodetect.storage import audit_trail

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models() -> Mapping[str, ReleasedModel]:
    return load_releases(settings().artifacts).models


@pytest.fixture(scope="module")
def bleeding() -> dict[str, bytes]:
    return patient_files(small_phantom((Bleed("intraparenchymal", 60),)), patient="back-1")


def _received(files: Mapping[str, bytes]) -> str:
    """A study that was received; returns its pseudonym."""
    for data in files.values():
        received = inbox.described(data)
        worklist.arriving(received.study, "SCANNER@127.0.0.1")
        inbox.store(received, data)
    worklist.complete(received.study)
    return received.study


def _judged(study: str, models: Mapping[str, ReleasedModel]) -> worklist.Entry:
    waiting = worklist.next_to_judge()
    assert waiting is not None
    assert waiting.study == study
    judging.judge(waiting, models)
    entry = worklist.entry(study)
    assert entry is not None
    return entry


def _answer(patient: float, *, head: bool = True) -> FamilyPrediction:
    return FamilyPrediction(
        np.full(20, 0.1, np.float32), patient, 0.5, "", cannot_tell=(0.2, 0.6),
        head_found=np.full(20, head),
    )  # fmt: skip


def test_a_study_that_no_model_can_tell_has_its_place_by_its_probability() -> None:
    answers = {"svm": _answer(0.3), "cnn": _answer(0.5)}
    assert all(answer.undecided for answer in answers.values())
    assert judging.study_score(answers) == pytest.approx(0.4)


def test_models_that_found_no_head_say_nothing_of_a_study_s_place() -> None:
    assert judging.study_score({"svm": _answer(0.5, head=False)}) is None
    seen = {"svm": _answer(0.5, head=False), "cnn": _answer(0.9)}
    assert judging.study_score(seen) == pytest.approx(0.9)


def test_a_bleeding_study_rises_above_one_without(
    state: pytest.MonkeyPatch, models: Mapping[str, ReleasedModel], bleeding: dict[str, bytes]
) -> None:
    quiet = _received(patient_files(small_phantom(seed=5), patient="quiet"))
    calm = _judged(quiet, models)
    loud = _judged(_received(bleeding), models)
    assert (calm.state, loud.state) == ("judged", "judged")
    assert loud.score > calm.score
    assert set(loud.answers) == set(models)
    assert loud.slices == 24
    assert [entry.study for entry in worklist.entries()] == [loud.study, calm.study]


def test_a_study_that_may_not_be_judged_stands_at_the_top_with_the_reason(
    state: pytest.MonkeyPatch, models: Mapping[str, ReleasedModel], bleeding: dict[str, bytes]
) -> None:
    _judged(_received(bleeding), models)
    odd = patient_files(small_phantom(), patient="odd", RescaleIntercept=500)
    study = _received(odd)
    inbox.refuse(inbox.Received(study, "", "1.2.3"))
    entry = _judged(study, models)
    assert entry.state == "stopped"
    assert entry.not_judged_reason
    assert worklist.entries()[0].study == entry.study
    assert entry.cautions[0].startswith("1 image of this study could not be received")


def test_a_file_that_was_changed_on_disk_is_not_read_and_it_is_said(
    state: pytest.MonkeyPatch, models: Mapping[str, ReleasedModel], bleeding: dict[str, bytes]
) -> None:
    study = _received(bleeding)
    path = next((settings().state / "inbox" / study).glob("*.sealed"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    entry = _judged(study, models)
    assert (entry.state, "damaged" in entry.reason) == ("stopped", True)


def test_an_unexpected_error_of_a_model_stops_that_study_alone(
    state: pytest.MonkeyPatch, models: Mapping[str, ReleasedModel], bleeding: dict[str, bytes]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("patient 4711")

    study = _received(bleeding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "predict_study", broken)
        entry = _judged(study, models)
    assert entry.state == "failed"
    assert "4711" not in entry.reason


@pytest.fixture(params=["dicomweb", "dicom"])
def back(
    request: pytest.FixtureRequest, state: pytest.MonkeyPatch, orthanc: Orthanc
) -> pytest.MonkeyPatch:
    """Results go to Orthanc, each way."""
    target = (
        "dicomweb"
        if request.param == "dicomweb"
        else f"{orthanc.title}@127.0.0.1:{orthanc.dicom_port}"
    )
    change(
        state, send_to=target, send_automatically="1",
        dicomweb_url=orthanc.dicomweb, dicomweb_user=USER, dicomweb_password=PASSWORD,
    )  # fmt: skip
    return state


def test_results_arrive_once_under_the_right_patient_and_study(
    back: pytest.MonkeyPatch,
    orthanc: Orthanc,
    models: Mapping[str, ReleasedModel],
    request: pytest.FixtureRequest,
) -> None:
    patient = f"back-{request.node.callspec.id}"
    files = patient_files(small_phantom((Bleed("intraparenchymal", 60),)), patient=patient)
    original = dcmread(BytesIO(next(iter(files.values()))))
    study = _received(files)
    _judged(study, models)
    assert deliver_due(send) == 1
    assert deliver_due(send) == 0
    found = orthanc.instances(PatientID=patient)
    classes = sorted(one["tags"]["Modality"] for one in found)
    assert classes == ["OT"] * (len(found) - 1) + ["SR"]
    assert len(found) > 1
    for one in found:
        tags = one["tags"]
        assert tags["StudyInstanceUID"] == original.StudyInstanceUID
        assert tags["PatientName"] == "Müller^Anna"
        assert (tags["AccessionNumber"], tags["StudyDate"]) == (f"A{patient}", "20261120")
        assert tags["PatientBirthDate"] == "19500101"
        assert tags["StudyDescription"] == "CT Schädel"
        assert "not for care" in tags["SeriesDescription"]
    (delivery,) = deliveries.deliveries(study)
    assert (delivery.state, delivery.files) == ("sent", len(found))
    sent = [e for e in audit_trail.entries() if e.action == "send"]
    assert ['"state": "queued"' in sent[0].detail, '"state": "sent"' in sent[1].detail] == [
        True
    ] * 2
    assert not (settings().state / "outbox" / str(delivery.number)).exists()


def _result(name: bytes = b"x") -> dict[str, bytes]:
    files = patient_files(small_phantom(slices=2), patient="order")
    return {f"{name.decode()}.dcm": next(iter(files.values()))}


def test_a_pacs_that_is_down_gets_it_later_in_order(
    state: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(state, send_to="PACS@127.0.0.1:9")
    numbers = [queue_results("study-0123456789", _result(b"%d" % n), "Anna") for n in range(3)]
    assert deliver_due(send) == 0
    first = deliveries.deliveries()[-1]
    assert (first.state, first.attempts) == ("waiting", 1)
    assert "does not answer" in first.reason
    assert deliver_due(send) == 0  # not before its time
    assert deliveries.deliveries()[-1].attempts == 1
    sent: list[str] = []
    assert deliver_due(sent.extend, datetime.now(UTC) + timedelta(minutes=1)) == 3
    assert sent == ["0.dcm", "1.dcm", "2.dcm"]
    assert [d.number for d in reversed(deliveries.deliveries())] == numbers
    assert all(d.state == "sent" for d in deliveries.deliveries())


def test_what_the_pacs_refuses_for_good_does_not_hold_up_the_others(
    state: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_first(files: Mapping[str, bytes]) -> None:
        if "0.dcm" in files:
            raise Refused("The PACS refuses it.")

    change(state, send_to="PACS@127.0.0.1:9")
    for n in range(2):
        queue_results("study-0123456789", _result(b"%d" % n), "Anna")
    assert deliver_due(refuse_first) == 1
    assert [d.state for d in deliveries.deliveries()] == ["sent", "refused"]
    assert deliveries.deliveries()[1].reason == "The PACS refuses it."


@pytest.mark.parametrize("error", [PacsError("HTTP 401"), RuntimeError("aborted"), ValueError("x")])
def test_what_may_pass_costs_no_result(
    state: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(files: Mapping[str, bytes]) -> None:
        raise error

    change(state, send_to="PACS@127.0.0.1:9")
    for n in range(2):
        queue_results("study-0123456789", _result(b"%d" % n), "Anna")
    assert deliver_due(fail) == 0
    assert [d.state for d in deliveries.deliveries()] == ["waiting", "waiting"]
    assert deliveries.deliveries()[1].reason
    assert deliver_due(lambda files: None, datetime.now(UTC) + timedelta(minutes=1)) == 2


def test_results_that_wait_are_encrypted(state: pytest.MonkeyPatch) -> None:
    change(state, send_to="PACS@127.0.0.1:9")
    queue_results("study-0123456789", _result(), "Anna")
    for path in (settings().state / "outbox").rglob("*.sealed"):
        assert b"order" not in path.read_bytes()


def test_a_target_that_is_none_is_named(state: pytest.MonkeyPatch) -> None:
    change(state, send_to="somewhere")
    queue_results("study-0123456789", _result(), "Anna")
    deliver_due(send)
    assert "HEMODETECT_SEND_TO" in deliveries.deliveries()[0].reason


def test_one_process_judges_and_a_second_says_so(state: pytest.MonkeyPatch) -> None:
    turns = threading.Event()

    def once() -> bool:
        assert judging.is_judging()
        with pytest.raises(judging.AlreadyJudging):
            judging.judge_worklist()
        turns.set()
        return False

    assert not judging.is_judging()
    judging.judge_worklist(once)
    assert turns.is_set()
    assert not judging.is_judging()


def test_a_delivery_that_was_cut_off_while_it_was_written_says_so(
    state: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deliveries, "write_sealed", killed)
        with pytest.raises(KeyboardInterrupt):
            queue_results("study-0123456789", _result(), "Anna")
    assert deliver_due(send) == 0
    assert deliveries.deliveries()[0].state == "being written"
    monkeypatch.setattr(deliveries, "_LONGEST_WRITING", timedelta(0))
    deliver_due(send)
    assert deliveries.deliveries()[0].reason == deliveries.CUT_OFF
