"""A bundle is put into use whole or not at all; who did it and why is kept; it can be undone."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hemodetect.errors import BundleError
from hemodetect.registry import promotion
from hemodetect.registry.bundle import Card, read_card, write_bundle
from hemodetect.registry.promotion import (
    EARLIER,
    RELEASES,
    TRAIL,
    promote,
    promotions,
    release_state,
    rollback,
    settle,
)
from hemodetect.storage.people import local_person

WHY = {"who": local_person("ada"), "why": "better on unseen patients"}
NEW = {**WHY, "check": read_card}


def bundle(folder: Path, weights: bytes, name: str = "model.skops", split: str = "patient") -> str:
    """Writes a bundle that holds these bytes; gives its version."""

    def card(files: dict[str, str]) -> Card:
        return Card(
            family="svm", recipe="paper", split=split, fingerprint="0" * 16, counts={}, seed=0,
            epochs=None, threshold=0.5, threshold_reason="as published", metrics={}, seconds={},
            versions={}, commit="unknown", created="2026-01-02", remarks=(), files=files,
        )  # fmt: skip

    return write_bundle(folder, lambda f: (f / name).write_bytes(weights), card).version


@pytest.fixture
def two_bundles(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("a", "b"):
        bundle(tmp_path / name, name.encode() * 1000)
    return tmp_path / "a", tmp_path / "b"


def in_use(artifacts: Path) -> str:
    return read_card(artifacts / RELEASES / "svm").version


def test_a_promoted_bundle_is_in_use_and_the_old_one_can_come_back(
    two_bundles, tmp_path: Path
) -> None:
    artifacts, (a, b) = tmp_path / "artifacts", two_bundles
    first, second = promote(a, artifacts, **NEW), promote(b, artifacts, **NEW)
    assert (first.old, second.old) == (None, first.new)
    assert in_use(artifacts) == second.new == read_card(b).version
    returned = rollback("svm", artifacts, who=local_person("bo"), why="missed a bleed")
    assert in_use(artifacts) == returned.new == first.new
    assert [p.action for p in promotions(artifacts)] == ["promote", "promote", "rollback"]
    assert {f.name for f in (artifacts / EARLIER / "svm").iterdir()} == {first.new, second.new}


def test_the_state_of_the_releases_changes_with_a_promotion(two_bundles, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    promote(two_bundles[0], artifacts, **NEW)
    before = release_state(artifacts)
    assert before == release_state(artifacts)
    promote(two_bundles[1], artifacts, **NEW)
    assert before != release_state(artifacts)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"split": "paper"}, "both sides of the split"),
        ({"name": "history.csv"}, "no model"),
    ],
)
def test_what_cannot_be_used_is_refused(change, match, tmp_path: Path) -> None:
    bundle(tmp_path / "c", b"c", **change)
    with pytest.raises(BundleError, match=match):
        promote(tmp_path / "c", tmp_path / "artifacts", **NEW)


def test_a_promotion_needs_a_reason_and_changes_something(two_bundles, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    with pytest.raises(BundleError, match="reason"):
        promote(two_bundles[0], artifacts, who=local_person("ada"), why=" ", check=read_card)
    promote(two_bundles[0], artifacts, **NEW)
    with pytest.raises(BundleError, match="in use already"):
        promote(two_bundles[0], artifacts, **NEW)
    with pytest.raises(BundleError, match="no release was in use before"):
        rollback("svm", artifacts, **WHY)
    with pytest.raises(BundleError, match="no earlier release"):
        rollback("svm", artifacts, version="../../a", **WHY)


def test_a_changed_or_missing_entry_is_found(two_bundles, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    for one in two_bundles:
        promote(one, artifacts, **NEW)
    trail = artifacts / TRAIL
    lines = trail.read_text().splitlines()
    trail.write_text(lines[0].replace("ada", "eve") + "\n" + lines[1] + "\n")
    with pytest.raises(BundleError, match="line 1"):
        promotions(artifacts)
    trail.write_text(lines[1] + "\n")
    with pytest.raises(BundleError, match="was changed"):
        promotions(artifacts)


def test_a_bundle_that_never_got_its_entry_is_dropped(two_bundles, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    promote(two_bundles[0], artifacts, **NEW)
    two_bundles[1].rename(artifacts / RELEASES / ".svm.incoming")
    settle(artifacts)
    assert [f.name for f in (artifacts / RELEASES).iterdir()] == ["svm"]
    assert in_use(artifacts) == read_card(two_bundles[0]).version


@pytest.mark.long
def test_a_kill_at_any_moment_leaves_one_release_and_a_whole_trail(
    two_bundles, tmp_path: Path
) -> None:
    artifacts = tmp_path / "artifacts"
    promote(two_bundles[0], artifacts, **NEW)
    versions = {read_card(one).version for one in two_bundles}
    code = (
        "import sys; from pathlib import Path\n"
        "from hemodetect.registry.promotion import promote\n"
        "from hemodetect.storage.people import local_person\n"
        "artifacts, a, b = (Path(x) for x in sys.argv[1:])\n"
        "from hemodetect.registry.bundle import read_card\n"
        "print('ready', flush=True)\n"
        "now = read_card(artifacts / 'releases' / 'svm').version if "
        "(artifacts / 'releases' / 'svm').is_dir() else None\n"
        "while True:\n"
        "    for one in (a, b):\n"
        "        try:\n"
        "            promote(one, artifacts, who=local_person('loop'), why='test', check=read_card)\n"
        "        except Exception as error:\n"
        "            assert 'in use already' in str(error), error\n"
    )
    delays = random.Random(5)
    for _ in range(20):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(artifacts), *map(str, two_bundles)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(delays.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        errors = process.communicate()[1]
        assert b"Error" not in errors
        settle(artifacts)
        assert in_use(artifacts) in versions
    # The next change puts right the rest: partial copies and a line cut off in the trail.
    other = next(one for one in two_bundles if read_card(one).version != in_use(artifacts))
    promote(other, artifacts, **NEW)
    trail = promotions(artifacts)
    assert trail[-1].new == in_use(artifacts)
    assert len(trail) > 20
    assert {f.name for f in (artifacts / RELEASES).iterdir()} == {"svm"}
    assert all(json.loads(line) for line in (artifacts / TRAIL).read_text().splitlines())


def test_a_model_that_cannot_be_used_is_not_promoted(two_bundles, tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        raise BundleError(f"{folder}: cannot be asked")

    with pytest.raises(BundleError, match="cannot be asked"):
        promote(two_bundles[0], tmp_path / "artifacts", **WHY, check=broken)
    assert not (tmp_path / "artifacts" / RELEASES).exists()


def test_a_damaged_release_can_be_replaced(two_bundles, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    promote(two_bundles[0], artifacts, **NEW)
    (artifacts / RELEASES / "svm" / "model.skops").write_bytes(b"damaged")
    assert promote(two_bundles[1], artifacts, **NEW).old is None
    assert in_use(artifacts) == read_card(two_bundles[1]).version


def test_only_what_the_card_lists_comes_along(two_bundles, tmp_path: Path) -> None:
    artifacts, secret = tmp_path / "artifacts", tmp_path / "secret"
    secret.write_text("not for the release")
    (two_bundles[0] / "link").symlink_to(secret)
    (two_bundles[0] / "more").mkdir()
    promote(two_bundles[0], artifacts, **NEW)
    assert {f.name for f in (artifacts / RELEASES / "svm").iterdir()} == {
        "card.json",
        "model.skops",
    }


def test_there_is_a_release_at_every_moment_of_a_promotion(
    two_bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = tmp_path / "artifacts"
    promote(two_bundles[0], artifacts, **NEW)
    missing = []
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        moved = rename(self, target)
        missing.append(not (artifacts / RELEASES / "svm" / "card.json").is_file())
        return moved

    monkeypatch.setattr(Path, "rename", watched)
    promote(two_bundles[1], artifacts, **NEW)
    assert missing
    assert not any(missing)
    assert in_use(artifacts) == read_card(two_bundles[1]).version


def test_the_old_release_is_kept_where_a_kill_came_right_after_the_exchange(
    two_bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    artifacts = tmp_path / "artifacts"
    first = promote(two_bundles[0], artifacts, **NEW).new
    exchange = promotion._exchange

    def killed(one: Path, other: Path) -> None:
        exchange(one, other)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(promotion, "_exchange", killed)
        with pytest.raises(Killed):
            promote(two_bundles[1], artifacts, **NEW)
    settle(artifacts)
    assert in_use(artifacts) == read_card(two_bundles[1]).version
    assert read_card(artifacts / EARLIER / "svm" / first).version == first
    assert rollback("svm", artifacts, **WHY).new == first


def test_where_folders_cannot_be_exchanged_they_change_places_all_the_same(
    two_bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object, **__: object) -> object:
        raise OSError("no such library")

    monkeypatch.setattr(promotion.ctypes, "CDLL", absent)
    artifacts = tmp_path / "artifacts"
    for one in two_bundles:
        promote(one, artifacts, **NEW)
    assert in_use(artifacts) == read_card(two_bundles[1]).version


def test_releases_that_rest_on_one_network_share_its_file(tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    versions = [bundle(tmp_path / n, b"network", name="blood.skops") for n in ("a", "b")]
    promote(tmp_path / "a", artifacts, **NEW)
    release = artifacts / RELEASES / "svm"
    assert sorted(f.name for f in release.iterdir()) == ["card.json"]
    (shared,) = (artifacts / "networks").iterdir()
    assert shared.read_bytes() == b"network"
    assert read_card(release).version == versions[0]
    shared.write_bytes(b"another")
    with pytest.raises(BundleError, match="altered or damaged"):
        read_card(release)
    shared.unlink()
    with pytest.raises(BundleError, match="missing"):
        read_card(release)
