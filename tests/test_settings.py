"""Settings come from the environment or the secrets file, and are all documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from hemodetect.errors import SettingError
from hemodetect.settings import Settings

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_environment_overrules_the_secrets_file() -> None:
    found = Settings.load({"HEMODETECT_MAX_FILES": "7"}, {"max_files": 8, "max_slices": 9})
    assert (found.max_files, found.max_slices) == (7, 9)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", ""])
def test_a_limit_that_is_no_limit_is_refused_by_name(value: str) -> None:
    with pytest.raises(SettingError, match=f"HEMODETECT_MAX_FILES is '{value}'; expected a whole"):
        Settings.load({"HEMODETECT_MAX_FILES": value}, {})


def test_the_pseudonym_key_is_not_shown() -> None:
    assert "s3cret" not in repr(Settings.load({"HEMODETECT_PSEUDONYM_KEY": "s3cret"}, {}))


@pytest.mark.parametrize("variable", [variable for variable, *_ in Settings.documented()])
def test_every_setting_stands_in_the_readme(variable: str) -> None:
    assert f"`{variable}`" in README
