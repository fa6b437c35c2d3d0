"""A file or folder is written whole or not at all, by one writer or by many."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hemodetect.storage.whole_file import left_over, whole_file, whole_folder, write_once

OLD, NEW = "old" * 1000, "new" * 2000


def fail_after_writing(file: Path) -> None:
    file.write_text(NEW)
    raise RuntimeError("in the middle")


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    for text in (OLD, NEW):
        with whole_file(path) as partial:
            partial.write_text(text)
            assert not path.exists() or path.read_text() == OLD
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(OLD)
    with pytest.raises(RuntimeError, match="in the middle"), whole_file(path) as partial:
        fail_after_writing(partial)
    assert path.read_text() == OLD
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.weights.h5", "a.npz", ".hidden", "plain"])
def test_a_temporary_name_has_the_suffixes_of_the_file_and_is_hidden(
    name: str, tmp_path: Path
) -> None:
    with whole_file(tmp_path / name) as partial:
        assert partial.parent == tmp_path
        assert partial.name.startswith(".")
        assert left_over(tmp_path) == [partial]
        if "." in name.lstrip("."):
            assert partial.name.endswith(name[1:])
    assert left_over(tmp_path) == []


def test_permissions_are_those_asked_for_from_the_first_byte(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        with whole_file(tmp_path / "open") as partial:
            pass
        with whole_file(tmp_path / "secret", mode=0o600) as partial:
            assert partial.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(umask)
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_many_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def write(number: int) -> None:
        with whole_file(path) as partial:
            partial.write_text(f"{number}\n" * 5000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    lines = path.read_text().splitlines()
    assert len(lines) == 5000
    assert len(set(lines)) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_many_who_write_once_all_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "id"

    def write(number: int) -> str:
        write_once(path, f"{number}", mode=0o600)
        return path.read_text()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(write, range(40)))) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(OLD)
    code = (
        "import sys, time; from pathlib import Path\n"
        "from hemodetect.storage.whole_file import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('new')\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        writer.send_signal(signal.SIGKILL)
    assert path.read_text() == OLD
    (partial,) = left_over(tmp_path)
    assert partial.stat().st_mtime <= time.time()


def test_a_folder_is_there_when_the_block_ends(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "bundle"
    with whole_folder(folder) as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "a.txt").write_text(NEW)
        assert not folder.exists()
    assert (folder / "inner" / "a.txt").read_text() == NEW
    assert list(folder.parent.iterdir()) == [folder]


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "bundle") as partial:
        fail_after_writing(partial / "a.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_folder_replaces_nothing(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    if kind == "folder":
        path.mkdir()
        path = path / "a.txt"
    path.write_text(OLD)
    with pytest.raises(FileExistsError), whole_folder(tmp_path / "bundle") as partial:
        (partial / "a.txt").write_text(NEW)
    assert path.read_text() == OLD
    assert left_over(tmp_path) == []
