"""hemodetect: five classifiers for hemorrhage on head CT, side by side. Research use only."""

__version__ = "0.1.0"

RESEARCH_USE_ONLY = "Research use only, not a medical device."
