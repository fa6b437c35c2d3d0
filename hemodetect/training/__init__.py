"""Fitting the five families: folds, tuning, searches, progress."""
