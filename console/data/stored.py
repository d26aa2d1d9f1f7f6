"""The stored Parquet file of a dataset version, opened: what is wrong with it is told in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.contract import DatasetStore, Unreachable
from backends.entities import DatasetVersion


@contextmanager
def stored_file(datasets: DatasetStore, version: DatasetVersion) -> Iterator[Any]:
    """The version's file as a pyarrow `ParquetFile`. Unreachable where it is damaged, also on the way through it."""
    with dictionary_file(datasets, version, ()) as file:
        yield file


@contextmanager
def dictionary_file(datasets: DatasetStore, version: DatasetVersion, texts: Sequence[str]) -> Iterator[Any]:
    """As `stored_file`; these columns of text are read as dictionaries, which few distinct texts are quicker in."""
    import pyarrow.parquet as pq

    path = datasets.path(version.ref)
    # Without a buffer for all that is to come: who reads batch by batch would hold the whole file by the end.
    with (
        told_if_damaged(version.ref, path),
        pq.ParquetFile(path, read_dictionary=list(texts) or None, pre_buffer=False) as file,
    ):
        yield file


@contextmanager
def told_if_damaged(ref: str, path: Path) -> Iterator[None]:
    """What pyarrow says of a damaged file, as a sentence that names the version and the way out."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file system; pyarrow's own words on damaged pages have no number
        raise Unreachable(
            f"the stored file of {ref} is damaged ({str(error).rstrip('.')}). Restore objects/{path.parent.name}/"
            f"{path.name} in the workspace from a backup."
        ) from error
