"""Where settings come from, and which values are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hemodetect.errors import SettingError
from hemodetect.settings import Settings, settings


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, and settings that are read anew in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".streamlit").mkdir()
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_nothing_needs_to_be_set() -> None:
    assert Settings.load({}, {}) == Settings()


def test_the_environment_goes_before_the_secrets_and_both_before_the_default() -> None:
    loaded = Settings.load({"HEMODETECT_MAX_FILES": "7"}, {"max_files": 8, "max_slices": 9})
    assert (loaded.max_files, loaded.max_slices) == (7, 9)
    assert loaded.max_zip_depth == Settings().max_zip_depth


def test_a_path_may_start_at_the_home_folder() -> None:
    loaded = Settings.load({"HEMODETECT_CACHE": "~/decoded"}, {"state": "keys"})
    assert loaded.cache == Path.home() / "decoded"
    assert loaded.state == Path("keys")


@pytest.mark.parametrize("value", ["many", "0", "-3", "1.5", ""])
def test_a_bad_number_is_refused_by_variable_and_value(value: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings.load({"HEMODETECT_MAX_SLICES": value}, {})
    assert str(caught.value) == (
        f"HEMODETECT_MAX_SLICES is {value!r}; expected a whole number of at least 1."
    )


def test_zips_inside_zips_may_be_forbidden_but_not_counted_below_zero() -> None:
    assert Settings.load({"HEMODETECT_MAX_ZIP_DEPTH": "0"}, {}).max_zip_depth == 0
    with pytest.raises(SettingError, match="at least 0"):
        Settings.load({"HEMODETECT_MAX_ZIP_DEPTH": "-1"}, {})


def test_a_bad_secret_is_refused_like_a_bad_variable() -> None:
    with pytest.raises(SettingError, match="HEMODETECT_MAX_ZIP_RATIO is 'True'"):
        Settings.load({}, {"max_zip_ratio": True})


def test_the_key_of_the_pseudonyms_is_not_shown() -> None:
    loaded = Settings.load({"HEMODETECT_PSEUDONYM_KEY": "open sesame"}, {})
    assert loaded.pseudonym_key == "open sesame"
    assert "sesame" not in repr(loaded)
    assert "pseudonym_key" not in repr(loaded)


def test_secrets_are_read_from_the_working_folder(working_folder: Path) -> None:
    (working_folder / ".streamlit" / "secrets.toml").write_text("[hemodetect]\nmax_files = 12\n")
    assert settings().max_files == 12


def test_another_programs_secrets_change_nothing(working_folder: Path) -> None:
    (working_folder / ".streamlit" / "secrets.toml").write_text("[other]\nmax_files = 12\n")
    assert settings().max_files == Settings().max_files


def test_broken_secrets_are_refused_by_file(working_folder: Path) -> None:
    (working_folder / ".streamlit" / "secrets.toml").write_text("[hemodetect\n")
    with pytest.raises(SettingError, match=r"secrets\.toml is not valid TOML: "):
        settings()
