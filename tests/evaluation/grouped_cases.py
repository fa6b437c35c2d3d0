"""Cases with patient groups and resamples of them, and a Hypothesis strategy that makes them."""

import numpy as np
from hypothesis import strategies as st

from hemodetect.evaluation.intervals import draws


def arrays(rows):
    """Labels, probabilities, codes and draws of rows (group, label, probability)."""
    groups, labels, probabilities = zip(*rows, strict=True)
    codes = np.unique(groups, return_inverse=True)[1]
    return with_draws(np.array(labels), np.array(probabilities, dtype=np.float32), codes)


def with_draws(labels, probabilities, codes, resamples=60, seed=0):
    positive = np.bincount(codes, weights=labels) > 0
    return labels, probabilities, codes, draws(positive, resamples, seed)


def some_cases(parts):
    """Both classes, with ties: about half the probabilities are multiples of 1 / `parts`."""
    probabilities = st.one_of(
        st.integers(0, parts).map(lambda number: number / parts),
        st.floats(0, 1, width=32, allow_subnormal=False),
    )
    row = st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 1), probabilities)
    return (
        st.lists(row, min_size=2, max_size=60)
        .filter(lambda rows: len({label for _, label, _ in rows}) == 2)
        .map(arrays)
    )
