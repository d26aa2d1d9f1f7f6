"""A dataset version as a file for other programs: CSV, JSON lines or Parquet."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.contract import DatasetStore, Invalid, Refused
from backends.entities import DatasetVersion, Progress
from console.data.stored import stored_file
from console.data.stream import plain_os_error

FORMATS = ("csv", "jsonl", "parquet")


def export_version(
    datasets: DatasetStore,
    ref: str,
    path: Path,
    *,
    format: str | None = None,  # noqa: A002
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Write a dataset version to `path`, streamed; the file appears when it is whole, or not at all."""
    version = datasets.version(ref)
    kind = format or {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}.get(
        path.suffix.lower(), ""
    )
    if kind not in FORMATS:
        raise Invalid(
            f"{path.name}: the name does not say the format; end it in .csv, .jsonl or .parquet, or give the format.",
            "format",
        )
    if path.is_dir():
        raise Invalid(f"{path} is a folder; name the file to write in it.", "path")
    if path.exists() and not overwrite:
        raise Refused(f"{path} exists already; nothing was written. Choose another name, or ask to overwrite it.")
    if not path.parent.is_dir():
        raise Invalid(f"there is no folder {path.parent}; make it first.", "path")
    unfinished = ""
    try:
        handle, unfinished = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        os.close(handle)
        _write(datasets, version, Path(unfinished), kind, progress)
        Path(unfinished).chmod(0o666 & ~_umask())
        os.replace(unfinished, path)  # noqa: PTH105
    except OSError as error:
        raise plain_os_error(error, path) from error
    finally:
        if unfinished:
            Path(unfinished).unlink(missing_ok=True)
    return path


def _write(
    datasets: DatasetStore, version: DatasetVersion, out: Path, kind: str, progress: Callable[[Progress], None] | None
) -> None:
    import shutil
    import time

    import pyarrow.csv as pv

    if kind == "parquet":
        shutil.copyfile(datasets.path(version.ref), out)
        return
    done = 0
    with stored_file(datasets, version) as file, out.open("wb") as sink:
        writer: Any = pv.CSVWriter(sink, file.schema_arrow) if kind == "csv" else None
        for batch in file.iter_batches(batch_size=1 << 15, use_threads=False):
            if writer is not None:
                writer.write_batch(batch)
            else:
                sink.write(_json_lines(batch))
            done += batch.num_rows
            if progress is not None:
                progress(
                    Progress(at=int(time.time() * 1000), fraction=done / max(version.rows, 1), stage=f"writing {kind}")
                )
        if writer is not None:
            writer.close()


def _json_lines(batch: Any) -> bytes:
    import msgspec

    from console.data.rows import plain

    names = batch.schema.names
    columns = [[plain(value) for value in column.to_pylist()] for column in batch.columns]
    encode = msgspec.json.Encoder().encode
    return b"".join(encode(dict(zip(names, row, strict=True))) + b"\n" for row in zip(*columns, strict=True))


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
