"""The file of a comparison.

It is a Parquet file with one row per slice and a column of probabilities for each model. Its metadata
under ``hemodetect`` describes the models and data sets. It contains slice names and numbers, no image.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hemodetect.evaluation.comparison import (
    FACTS,
    ComparedModel,
    Comparison,
    Origin,
    compared,
    patient_column,
)
from hemodetect.evaluation.levels import PATIENT_PROBABILITY, EvaluationError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.storage.whole_file import whole_file

FORMAT = 1
_KEY = b"hemodetect"
_LARGEST = 256 * 1024 * 1024
"""Bytes of a file's table in memory, by its number of rows and columns."""
_LONGEST = 300
"""Characters of a name."""
_TEXTS = ("set", "patient", "slice", "group", *FACTS)
_PREFIX = "probability_"
_PATIENT = "patient_probability_"
_RECIPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Writes the file whole or not at all."""
    about = {
        "format": FORMAT,
        "models": [asdict(model) for model in comparison.models],
        "fingerprints": comparison.fingerprints,
        "made": comparison.date,
    }
    names = {model.key: _PREFIX + model.key for model in comparison.models}
    names |= {patient_column(model.key): _PATIENT + model.key for model in comparison.models}
    table = pa.Table.from_pandas(comparison.slices.rename(columns=names), preserve_index=False)
    table = table.replace_schema_metadata({_KEY: json.dumps(about).encode()})
    with whole_file(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_comparison(source: Path | BinaryIO, name: str) -> Comparison:
    """The comparison in a file; every value is checked, because the file may come from anywhere.

    Args:
        source: the file.
        name: what to call it in errors.

    Raises:
        EvaluationError: the file is missing, is not a comparison, or has invalid values.
    """
    remedy = "make it with `hemodetect evaluate BUNDLE... --data DIR --out FILE`."
    try:
        # As dictionaries, so that a long text in a million rows is stored once.
        file = pq.ParquetFile(source, read_dictionary=list(_TEXTS))
        parts = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        values = file.metadata.num_rows * max(file.metadata.num_columns, 1)
        if max(8 * values, sum(part.total_byte_size for part in parts)) > _LARGEST:
            raise EvaluationError(f"{name}: {file.metadata.num_rows:,} rows are too many.")
        about = json.loads((file.schema_arrow.metadata or {})[_KEY])
        if about["format"] != FORMAT:
            raise EvaluationError(f"{name}: format {about['format']}; {remedy}")
        models = tuple(ComparedModel(**model) for model in about["models"])
        table = _checked_texts(file.read()).to_pandas()
        names = {_PREFIX + model.key: model.key for model in models}
        table = table.rename(columns=names)
        fingerprints, date = dict(about["fingerprints"]), str(about["made"])
        table["fold"] = table["fold"].astype(np.int16)
        facts = table[["set", "patient", "slice", "label", "group", "fold", *FACTS]]
        base = table[["set", "patient", "slice", "label"]]
        predictions = {key: base.assign(probability=table[key]) for key in names.values()}
        for model in models:
            if _PATIENT + model.key in table:
                patient_probability = {PATIENT_PROBABILITY: table[_PATIENT + model.key]}
                predictions[model.key] = predictions[model.key].assign(**patient_probability)
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(f"{name}: not a comparison of models; {remedy}") from error
    invalid = [model.key for model in models if not _is_valid(model)]
    if invalid:
        raise EvaluationError(
            f"{name}: the description of model {invalid[0]!r} is invalid; {remedy}"
        )
    for set_name in sorted(set(facts["set"])):
        has_origin = [model.origins.get(set_name) in get_args(Origin) for model in models]
        if not isinstance(fingerprints.get(set_name), str) or not all(has_origin):
            raise EvaluationError(f"{name}: does not describe the set {set_name!r}; {remedy}")
    return compared(models, fingerprints, facts, predictions, date)


def _checked_texts(table: pa.Table) -> pa.Table:
    """The table; raises `ValueError` unless names and facts are short enough texts."""
    for column in _TEXTS:
        kind = table.schema.field(column).type
        text = pa.types.is_dictionary(kind) and (
            pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
        )
        if not text:
            raise ValueError(f"{column} holds {kind}")
        for chunk in table.column(column).chunks:
            longest = pc.max(pc.utf8_length(chunk.dictionary)).as_py() or 0
            if chunk.null_count or longest > _LONGEST:
                raise ValueError(
                    f"{column} has an empty value or a text of more than {_LONGEST} characters"
                )
    plain = [pa.field(f.name, pa.string()) if f.name in _TEXTS else f for f in table.schema]
    return table.cast(pa.schema(plain))


def _is_share(value: object) -> bool:
    return isinstance(value, float) and 0 <= value <= 1


def _is_valid(model: ComparedModel) -> bool:
    texts = (model.key, model.family, model.recipe, model.version, model.threshold_reason)
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(model.origins, dict)
        and model.family in FAMILY_NAMES
        and _RECIPE.fullmatch(model.recipe) is not None
        and model.key in (model.family, f"{model.family} {model.recipe}")
        and _is_share(model.threshold)
        and (model.slice_threshold is None or _is_share(model.slice_threshold))
    )
