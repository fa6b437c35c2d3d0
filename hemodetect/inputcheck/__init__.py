"""Whether a study is a head CT that the models know: `checked_study`, before any model runs."""

from hemodetect.inputcheck.check import CheckedStudy, checked_study

__all__ = ["CheckedStudy", "checked_study"]
