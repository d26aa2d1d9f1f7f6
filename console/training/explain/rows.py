"""The one row that is to be explained, from the data it was held against or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from backends.contract import Backend, Invalid, NotFound
from console.training.held_out_rows import Judged, dataset_of, row_at

IDENT: Final = "prediction.id"
MOST_BYTES: Final = 500_000_000


def row_of_dataset(backend: Backend, case: Judged, number: int) -> tuple[Any, str, str]:
    """(the features of a row of the dataset version as a frame of one row, which row in words, the truth)."""
    data = dataset_of(backend, case)
    if not 0 <= number < data.rows:
        raise Invalid(f"{data.ref} has rows 0 to {data.rows - 1}, not {number}.", "row")
    place = int(np.searchsorted(case.held.rows, number))
    held_out = place < len(case.held.rows) and int(case.held.rows[place]) == number
    truth = str(case.held.target[place]) if held_out else ""
    words = f"row {number} of {data.ref}, {'held out' if held_out else 'not held out: the model may have learned it'}"
    return row_at(backend, case, data, number), words, truth


def row_of_file(case: Judged, path: Path, number: int | None, prediction: str) -> tuple[Any, str, str]:
    """As `row_of_dataset`. Invalid where the file has no such row, or not the model's columns."""
    frame = _read(path)
    if prediction:
        if IDENT not in frame.columns:
            raise Invalid(f"{path} has no column {IDENT}; only a prediction log tells predictions by their id.", "file")
        found = np.flatnonzero(frame[IDENT].astype(str).to_numpy() == prediction)
        if not len(found):
            raise NotFound(f"{path} holds no prediction {prediction}.")
        at = int(found[0])
    else:
        at = number or 0
        if not 0 <= at < len(frame):
            raise Invalid(f"{path} has {len(frame)} rows, and no row {at}.", "row")
    names = [column.name for column in case.meta.features]
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise Invalid(f"{path} lacks {', '.join(absent[:10])}, which {case.version.ref} needs.", "file")
    words = f"prediction {prediction} in {path.name}" if prediction else f"row {at} of {path.name}"
    truth = frame[case.meta.target].iloc[at] if case.meta.target in frame.columns else None
    one = frame.iloc[[at]][names].reset_index(drop=True)
    for column in case.meta.features:
        if column.type.value in ("datetime", "date"):
            one[column.name] = pd.to_datetime(one[column.name], errors="coerce", format="ISO8601")
        elif column.type.numeric:
            one[column.name] = pd.to_numeric(one[column.name], errors="coerce")
    return one, words, "" if truth is None or truth != truth else str(truth)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise NotFound(f"there is no file {path}.")
    if path.stat().st_size > MOST_BYTES:
        raise Invalid(f"{path} has over {MOST_BYTES // 1_000_000} MB; cut out the row that is meant.", "file")
    readers: dict[str, Any] = {
        ".csv": pd.read_csv,
        ".parquet": pd.read_parquet,
        ".jsonl": lambda file: pd.read_json(file, lines=True, convert_dates=False, dtype={IDENT: str}),
        ".json": lambda file: pd.read_json(file, orient="records", convert_dates=False),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise Invalid(f"{path}: a name that ends in {', '.join(readers)} is wanted.", "file")
    try:
        return reader(path)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise Invalid(f"{path} cannot be read: {str(error).splitlines()[0]}", "file") from error
