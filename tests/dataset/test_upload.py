"""An uploaded set is stored whole or not at all, and no entry is written outside its folder."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hemodetect.dataset.cache import open_dataset
from hemodetect.dataset.files import listed_files
from hemodetect.dataset.lookup import data_folders
from hemodetect.dataset.manifest import labelled_slices, uploaded_sets
from hemodetect.dataset.upload import remove_set, store_set
from hemodetect.errors import DatasetError
from hemodetect.settings import settings
from hemodetect.storage.people import NotAllowed, Person, local_person

Entries = list[tuple[str, bytes]]
ADA = local_person("ada")


def stored(name: str, zipped: io.BytesIO) -> Path:
    return store_set(name, zipped, ADA)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path / "state"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def entries(blob_folder: Path) -> Entries:
    return [
        (file.relative_to(blob_folder).as_posix(), file.read_bytes())
        for file in sorted(blob_folder.rglob("*.png"))
    ]


def packed(entries: Entries) -> io.BytesIO:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return zipped


def assert_nothing_stored() -> None:
    assert not list(uploaded_sets().glob("*"))
    assert not list(uploaded_sets().glob(".*"))


@pytest.mark.parametrize("around", ["", "download/set/"])
def test_a_set_is_stored_unchanged_without_the_folders_around_it(
    around: str, entries: Entries, blob_folder: Path
) -> None:
    rest = [("readme.txt", b"x"), ("__MACOSX/NORMAL/._1.png", b"x")]
    folder = stored("mine", packed([(around + name, data) for name, data in entries] + rest))
    assert folder.parent in data_folders()
    files = {
        f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()
    }
    assert files == dict(entries)
    assert open_dataset(folder).fingerprint == open_dataset(blob_folder).fingerprint


def test_a_name_is_used_once(entries: Entries) -> None:
    stored("mine", packed(entries))
    with pytest.raises(DatasetError, match="A set mine exists already"):
        stored("mine", packed(entries))


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a" * 61, "a b", "x\n"])
def test_a_name_that_is_no_plain_name_is_refused(name: str, entries: Entries) -> None:
    with pytest.raises(DatasetError, match="cannot be a set's name"):
        stored(name, packed(entries))


@pytest.mark.parametrize(
    "name", ["../../evil.png", "/etc/evil.png", "NORMAL/..\\..\\evil.png", "NORMAL/a\x07b.png"]
)
def test_an_entry_that_leads_out_is_refused(name: str, entries: Entries, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="lie inside the set"):
        stored("mine", packed([*entries, (name, b"x")]))
    assert_nothing_stored()
    assert not list(tmp_path.rglob("evil*"))


def test_a_link_a_bomb_and_an_entry_given_twice_are_refused_by_name(entries: Entries) -> None:
    link = zipfile.ZipInfo("NORMAL/p/link.png")
    link.external_attr = 0o120777 << 16
    with_link = packed(entries)
    with zipfile.ZipFile(with_link, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DatasetError, match=r"link\.png: It is a symbolic link"):
        stored("mine", with_link)
    bomb = packed([*entries, ("NORMAL/p/bomb.png", bytes(64 * 1024 * 1024))])
    with pytest.raises(DatasetError, match=r"bomb\.png: It unpacks to"):
        stored("mine", bomb)
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = packed([*entries, entries[0]])
    with pytest.raises(DatasetError, match="is in the zip twice"):
        stored("mine", twice)
    assert_nothing_stored()


def test_a_zip_that_is_no_set_damaged_or_too_large_is_refused(
    entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatasetError, match="holds no JPEG"):
        stored("mine", packed([("notes.txt", b"x")]))
    with pytest.raises(DatasetError, match="The zip: only normal slices"):
        stored("mine", packed([e for e in entries if e[0].startswith("NORMAL")]))
    with pytest.raises(DatasetError, match="damaged"):
        stored("mine", io.BytesIO(b"PK\x03\x04 no zip at all"))
    monkeypatch.setenv("HEMODETECT_MAX_SET_FILES", "10")
    settings.cache_clear()
    with pytest.raises(DatasetError, match=r"a set may have.*HEMODETECT_MAX_SET_FILES"):
        stored("mine", packed(entries))
    assert_nothing_stored()


def test_only_an_uploaded_set_is_removed(entries: Entries, blob_folder: Path) -> None:
    folder = stored("mine", packed(entries))
    with pytest.raises(DatasetError, match="was not uploaded here"):
        remove_set(blob_folder, ADA)
    remove_set(folder, ADA)
    assert_nothing_stored()
    assert blob_folder.is_dir()


def test_only_a_trainer_stores_or_removes_a_set(entries: Entries) -> None:
    reader = Person("eve", frozenset({"reader", "lead"}))
    with pytest.raises(NotAllowed):
        store_set("mine", packed(entries), reader)
    folder = stored("mine", packed(entries))
    with pytest.raises(NotAllowed):
        remove_set(folder, reader)
    assert folder.is_dir()


def test_an_uploaded_set_is_never_taken_for_a_public_one_whose_names_are_kept(
    entries: Entries,
) -> None:
    renamed = [(name.replace("P10", "KANAMA").replace("P11", "DOE^JOHN"), d) for name, d in entries]
    table = labelled_slices(folder := stored("mine", packed(renamed)), listed_files(folder))
    assert all(name.startswith("patient-") for name in table["patient"])
    assert all(name.startswith("slice-") for name in table["slice"])
    header = b"PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,"
    rows = b"Subdural,No_Hemorrhage\n12345678,1,0,0,0,0,0,1\n87654321,1,0,0,0,0,1,0\n"
    ct_ich = [
        ("hemorrhage_diagnosis.csv", header + rows),
        ("Patients_CT/12345678/brain/1.png", entries[0][1]),
        ("Patients_CT/87654321/brain/1.png", entries[1][1]),
    ]
    table = labelled_slices(folder := stored("other", packed(ct_ich)), listed_files(folder))
    assert all(name.startswith("patient-") for name in table["patient"])


@pytest.mark.parametrize(
    "extra",
    [
        ("hemorrhage_diagnosis.csv", b""),
        ("hemorrhage_diagnosis.csv", b"\xff\xfe\x00"),
        ("NORMAL/b/1.png/y/x.png", b"x"),
        ("/".join(["d"] * 1500) + "/x.png", b"x"),
    ],
)
def test_what_would_break_a_page_is_refused_with_a_sentence(
    entries: Entries, extra: tuple[str, bytes]
) -> None:
    with pytest.raises(DatasetError):
        stored("mine", packed([*entries, ("NORMAL/b/1.png", b"x"), extra]))
    assert_nothing_stored()
