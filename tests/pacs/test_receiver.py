"""Studies are received whole or not at all, from those who may send."""

from __future__ import annotations

import errno
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest
from hospital import association_with, images_of
from pacs_peers import change, patient_files, small_phantom
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from hemodetect.errors import SettingError
from hemodetect.imaging import read_study
from hemodetect.pacs import inbox, outcomes, receiver, worklist
from hemodetect.pacs.receiver import Receiver
from hemodetect.settings import settings
from hemodetect.storage import audit_trail
from hemodetect.storage.database import DatabaseDown


@pytest.fixture
def running(state: pytest.MonkeyPatch) -> Iterator[Receiver]:
    one = Receiver()
    one.start("127.0.0.1")
    yield one
    one.stop()


def _sent(port: int, images: list[Dataset], title: str = "SCANNER") -> list[int]:
    association = association_with(port, title)
    assert association.is_established
    statuses = [association.send_c_store(image).Status for image in images]
    association.release()
    return statuses


def _settled(study: str, expected: str = "waiting") -> worklist.Entry:
    """The release comes to the receiver after it has come back to the sender."""
    for _ in range(100):
        one = worklist.entry(study)
        if one is not None and one.state == expected:
            return one
        time.sleep(0.05)
    raise AssertionError(f"{study} is not {expected}: {worklist.entry(study)}")


def _ended(study: str, refused: int) -> None:
    """Waits until the receiver has noted what it refused."""
    for _ in range(100):
        if inbox.refused(study) == refused:
            return
        time.sleep(0.05)
    raise AssertionError(f"{inbox.refused(study)} refused images are noted, not {refused}")


def test_a_received_study_is_the_one_that_was_sent(
    running: Receiver, files: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    assert _sent(running.port, images_of(files)) == [0] * 6
    direct = read_study(folder)
    entry = _settled(direct.id)
    assert (entry.files, entry.source) == (6, "SCANNER@127.0.0.1")
    received = read_study(inbox.files(direct.id))
    assert received.id == direct.id
    for one, other in zip(received.slices, direct.slices, strict=True):
        assert (one.values == other.values).all()


def test_nothing_of_the_patient_stands_in_the_state_folder(
    running: Receiver, files: dict[str, bytes]
) -> None:
    _sent(running.port, images_of(files))
    study = inbox.studies()[0]
    _settled(study)
    image = images_of(files)[0]
    told = [
        b"4711", b"A4711", b"Anna", b"ller", b"19500101", b"20261120",
        str(image.StudyInstanceUID).encode(), str(image.SOPInstanceUID).encode(),
    ]  # fmt: skip
    for path in settings().state.rglob("*"):
        assert not any(word.decode() in path.name for word in told)
        if path.is_file():
            content = path.read_bytes()
            assert not [word for word in told if word in content], path


def test_the_trail_names_who_sent_what(running: Receiver, files: dict[str, bytes]) -> None:
    _sent(running.port, images_of(files)[:4])
    study = inbox.studies()[0]
    _settled(study)
    entry = next(e for e in audit_trail.entries() if e.action == "receive")
    assert (entry.who, entry.subject) == ("SCANNER@127.0.0.1", study)
    assert '"new": 4' in entry.detail
    assert '"whole": true' in entry.detail


def test_an_image_sent_twice_is_kept_once(running: Receiver, files: dict[str, bytes]) -> None:
    images = images_of(files)
    assert _sent(running.port, images + images[:3]) == [0] * 9
    study = inbox.studies()[0]
    _settled(study)
    worklist.next_to_judge()
    worklist.judged(study, {"state": "judged", "score": 0.5})
    assert _sent(running.port, images) == [0] * 6
    assert inbox.count(study) == 6
    assert worklist.entry(study).state == "judged"  # nothing new: nothing to read again


def test_new_images_of_a_study_that_was_judged_are_judged(
    running: Receiver, files: dict[str, bytes]
) -> None:
    images = images_of(files)
    _sent(running.port, images[:4])
    study = inbox.studies()[0]
    _settled(study)
    worklist.next_to_judge()
    _sent(running.port, images[4:])
    assert _settled(study).files == 6
    assert not worklist.judged(study, {"state": "judged", "score": 0.1})
    assert worklist.entry(study).score is None


def test_another_image_of_the_same_uid_is_refused_and_the_first_kept(
    running: Receiver, files: dict[str, bytes]
) -> None:
    first, second = images_of(files)[:2]
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    assert _sent(running.port, [first, second]) == [0, outcomes.DUPLICATE_INSTANCE]
    assert inbox.count(inbox.studies()[0]) == 1


def test_a_file_that_was_damaged_on_the_disk_is_replaced_when_it_is_sent_again(
    running: Receiver, files: dict[str, bytes]
) -> None:
    image = images_of(files)[0]
    _sent(running.port, [image])
    study = inbox.studies()[0]
    path = next((settings().state / "inbox" / study).glob("*.sealed"))
    path.write_bytes(path.read_bytes()[:-1])
    assert _sent(running.port, [image]) == [0]
    assert len(inbox.files(study)) == 1


def test_a_sender_that_is_not_listed_is_rejected(running: Receiver) -> None:
    association = association_with(running.port, "STRANGER")
    assert association.is_rejected
    assert association.acceptor.primitive.result == 1  # for good
    assert not inbox.studies()


def test_a_listed_sender_at_another_address_is_rejected(state: pytest.MonkeyPatch) -> None:
    change(state, receive_from="SCANNER@10.1.2.3")
    one = Receiver()
    one.start("127.0.0.1")
    try:
        assert association_with(one.port).is_rejected
    finally:
        one.stop()


def test_who_calls_another_name_is_rejected(running: Receiver) -> None:
    assert association_with(running.port, called="OTHER").is_rejected


def test_nobody_may_send_until_somebody_is_named(state: pytest.MonkeyPatch) -> None:
    change(state, receive_from="")
    with pytest.raises(SettingError, match="HEMODETECT_RECEIVE_FROM"):
        Receiver().start()


def test_other_images_than_ct_are_not_negotiated(running: Receiver) -> None:
    association = association_with(running.port, classes=(MRImageStorage,))
    assert [c.abstract_syntax for c in association.rejected_contexts] == [MRImageStorage]
    association.release()


def test_an_image_that_is_not_of_its_stated_class_is_refused(
    running: Receiver, files: dict[str, bytes]
) -> None:
    association = association_with(running.port)
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CTImageStorage, generate_uid()
    request.DataSet = BytesIO(encode(images_of(files)[0], False, True))
    context = association.accepted_contexts[0].context_id
    association._reactor_checkpoint.clear()  # as send_c_store does, which takes both from the image
    while not association._is_paused:
        time.sleep(0.01)
    association.dimse.send_msg(request, context)
    _, answer = association.dimse.get_msg(True)
    association._reactor_checkpoint.set()
    assert answer.Status == outcomes.CLASS_DOES_NOT_MATCH
    association.release()
    assert not inbox.studies()


@pytest.mark.parametrize("missing", ["StudyInstanceUID"])
def test_an_image_without_a_study_cannot_be_understood(
    running: Receiver, files: dict[str, bytes], missing: str
) -> None:
    image = images_of(files)[0]
    delattr(image, missing)
    assert _sent(running.port, [image]) == [outcomes.CANNOT_UNDERSTAND]
    assert not inbox.studies()


def test_on_a_full_disk_the_sender_hears_it_and_nothing_is_half_kept(
    running: Receiver, files: dict[str, bytes], state: pytest.MonkeyPatch
) -> None:
    images = images_of(files)
    assert _sent(running.port, images[:2]) == [0, 0]
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert _sent(running.port, images[2:4]) == [outcomes.OUT_OF_RESOURCES] * 2
    study = inbox.studies()[0]
    assert inbox.count(study) == 2
    assert not list((settings().state / "inbox" / study).glob(".*"))
    _ended(study, refused=2)
    assert _sent(running.port, images[2:]) == [0] * 4
    assert _settled(study).files == 6
    assert inbox.refused(study) == 0


def test_without_the_database_nothing_is_taken(
    running: Receiver, files: dict[str, bytes], state: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise DatabaseDown("The database cannot be written now.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worklist, "arriving", down)
        assert _sent(running.port, images_of(files)[:1]) == [outcomes.OUT_OF_RESOURCES]
    assert not inbox.studies()


def test_a_study_larger_than_the_limit_is_refused_from_there(
    state: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    change(state, max_files="4")
    one = Receiver()
    one.start("127.0.0.1")
    try:
        assert _sent(one.port, images_of(files)) == [0] * 4 + [outcomes.OUT_OF_RESOURCES] * 2
        _ended(inbox.studies()[0], refused=2)
    finally:
        one.stop()


def test_what_a_broken_association_brought_is_taken_up_after_a_quiet_time(
    running: Receiver, files: dict[str, bytes], state: pytest.MonkeyPatch
) -> None:
    association = association_with(running.port)
    for image in images_of(files)[:3]:
        association.send_c_store(image)
    association.abort()
    study = inbox.studies()[0]
    _settled(study, "arriving")
    assert worklist.settle() == 0
    change(state, quiet_seconds="1")
    time.sleep(1.2)
    assert worklist.settle() == 1
    assert worklist.entry(study).state == "waiting"


def test_a_stopped_receiver_has_noted_what_came_before_and_notes_nothing_afterwards(
    state: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    one = Receiver()
    one.start("127.0.0.1")
    association = association_with(one.port)
    assert association.send_c_store(images_of(files)[0]).Status == 0
    one.stop()
    noted = audit_trail.entries()
    assert [json.loads(e.detail)["whole"] for e in noted if e.action == "receive"] == [False]
    association.join(10)
    assert association.is_aborted
    assert audit_trail.entries() == noted


@pytest.mark.parametrize(
    "length", [200, 2**32 - 1], ids=["silent-halfway", "four-gibibytes-announced"]
)
def test_a_message_without_its_end_holds_no_place_for_long(
    state: pytest.MonkeyPatch, length: int
) -> None:
    state.setattr(receiver, "_SILENT_SECONDS", 1 if length == 200 else 30)
    one = Receiver()
    one.start("127.0.0.1")
    try:
        with socket.create_connection(("127.0.0.1", one.port), timeout=15) as connection:
            connection.sendall(b"\x01\x00" + length.to_bytes(4, "big") + b"\x00\x01")
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    finally:
        one.stop()


def test_an_image_whose_connection_is_cut_halfway_leaves_nothing(
    running: Receiver, files: dict[str, bytes]
) -> None:
    images = images_of(files)
    with _cut_after(running.port, 1.5 * len(images[0].PixelData)) as port:
        association = association_with(port)
        statuses = [association.send_c_store(image).get("Status") for image in images[:2]]
    assert statuses == [0, None]
    study = inbox.studies()[0]
    assert inbox.count(study) == 1
    assert not list((settings().state / "inbox" / study).glob(".*"))


@contextmanager
def _cut_after(port: int, most: float) -> Iterator[int]:
    """A port that passes on to another what it is sent, until it has been `most` bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def forward() -> None:
            sender, _ = listener.accept()
            with sender, socket.create_connection(("127.0.0.1", port)) as target:
                passed = 0
                back = threading.Thread(target=_copied, args=(target, sender), daemon=True)
                back.start()
                while passed < most:
                    data = sender.recv(8192)
                    target.sendall(data)
                    passed += len(data)
                for end in (sender, target):
                    end.shutdown(socket.SHUT_RDWR)  # also for the thread that reads from it

        threading.Thread(target=forward, daemon=True).start()
        yield listener.getsockname()[1]


def _copied(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(8192):
            target.sendall(data)


def test_a_pacs_that_sends_our_own_heat_maps_back_is_not_listened_to(running: Receiver) -> None:
    association = association_with(running.port, classes=(SecondaryCaptureImageStorage,))
    refused = [context.abstract_syntax for context in association.rejected_contexts]
    assert refused == [SecondaryCaptureImageStorage]
    association.release()


def test_two_studies_at_once_stay_apart(running: Receiver) -> None:
    sets = [patient_files(small_phantom(slices=5, seed=n), patient=f"p{n}") for n in range(2)]
    threads = [threading.Thread(target=_sent, args=(running.port, images_of(one))) for one in sets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    studies = inbox.studies()
    assert len(studies) == 2
    for study in studies:
        assert _settled(study).files == 5
        assert len(read_study(inbox.files(study)).slices) == 5


def test_a_port_in_use_is_named(running: Receiver) -> None:
    with pytest.raises(SettingError, match="HEMODETECT_RECEIVE_PORT"):
        Receiver().start("127.0.0.1")
