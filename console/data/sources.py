"""The formats that can be imported, each opened as a reader of one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from backends.contract import Invalid
from console.data.delimited import DelimitedReader
from console.data.inference import Guess, TypedGuess
from console.data.json_lines import JsonLinesReader
from console.data.reader import Reader, check_names
from console.data.stream import BLOCK, MOST_BYTES, UTF8, ByteStream, packing

BATCH_ROWS = 1 << 16


def open_reader(
    path: Path,
    kind: str,
    staging: Path,
    *,
    label: str = "",
    delimiter: str = "",
    encoding: str = UTF8,
    columns: Sequence[str] = (),
    most: int = MOST_BYTES,
) -> Reader:
    """The reader of a file of this kind. `columns` are the only ones wanted; a reader may still give others."""
    if kind in ("csv", "tsv"):
        chosen = delimiter or ("\t" if kind == "tsv" else "")
        return DelimitedReader(path, chosen, label=label, encoding=encoding, most=most)
    if kind == "jsonl":
        return JsonLinesReader(path, label=label, encoding=encoding, most=most)
    return ParquetReader(path, staging, label=label, columns=columns, most=most)


class ParquetReader:
    """Parquet by row group; a packed one is unpacked into `staging` first, because Parquet is read from its end."""

    def __init__(
        self, path: Path, staging: Path, *, label: str = "", columns: Sequence[str] = (), most: int = MOST_BYTES
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        self._label = label or path.name
        self._unpacked: Path | None = None
        if packing(path):
            self._unpacked = staging / f"unpacked-{path.name}"
            with ByteStream(path, text=False, label=self._label, most=most) as stream, self._unpacked.open("wb") as out:
                while data := stream.read(BLOCK):
                    out.write(data)
        try:
            self._file = pq.ParquetFile(self._unpacked or path)
            self.names: list[str] = list(self._file.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise self._corrupt(error) from error
        check_names(self.names, self._label)
        if not self.names:
            raise Invalid(f"{self._label} has no columns.", "columns")
        # at least one, because without any column nobody knows how many rows there are
        self._wanted = ([name for name in columns if name in self.names] or self.names[:1]) if columns else None

    def guess(self, field: Any) -> Guess:
        return TypedGuess(field.type)

    def batches(self, advanced: Callable[[int], None]) -> Iterator[Any]:
        """As they stand in the file; none at all without a row."""
        import pyarrow as pa

        size, rows, done = self._path.stat().st_size, max(self._file.metadata.num_rows, 1), 0
        try:
            for batch in self._file.iter_batches(BATCH_ROWS, columns=self._wanted, use_threads=False):
                done += batch.num_rows
                advanced(size * done // rows)
                batch.validate(full=True)
                if batch.num_rows:
                    yield batch
        except (pa.ArrowException, OSError) as error:
            raise self._corrupt(error) from error
        finally:
            self._file.close()
            if self._unpacked is not None:
                self._unpacked.unlink(missing_ok=True)

    def _corrupt(self, error: Exception) -> Exception:
        if isinstance(error, OSError) and error.errno is not None:
            return error  # of the file system; pyarrow's own words on damage have no number
        first = str(error).split("\n")[0]
        return Invalid(
            f"{self._label} is not a Parquet file, or it is damaged: {first}. Write or fetch it again.", "path"
        )
