"""One or many files read as one table: their columns united by name, the keys of their folders added."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from backends.contract import Invalid
from console.config import nearest
from console.data.inference import Guess, JsonGuess, TextGuess, TypedGuess
from console.data.json_lines import JsonLinesReader
from console.data.parts import Part
from console.data.sources import open_reader
from console.data.stream import MOST_BYTES, UTF8
from console.wording import plural


class PartsSource:
    """A `Source` of files of one format, in the order given.

    A column that a file does not have is missing in its rows. Invalid where a file changed since it was found, where a
    folder and its files name the same column, and where a column that is asked for is nowhere.
    """

    unit = "bytes"

    def __init__(
        self,
        parts: Sequence[Part],
        staging: Path,
        *,
        delimiter: str = "",
        encoding: str = UTF8,
        columns: Sequence[str] = (),
        most: int = MOST_BYTES,
        passed_over: Sequence[str] = (),
    ) -> None:
        self.parts = tuple(parts)
        self.size = sum(part.mark.size for part in parts)
        self._staging = staging
        self._delimiter = delimiter
        self._encoding = encoding
        self._wanted = tuple(columns)
        self._most = most
        self._passed_over = tuple(passed_over)
        self._kind = parts[0].kind
        self._keys = tuple(key for key, _ in parts[0].keys)
        self._at = parts[0]
        self._before = self._rows = 0
        self._had: list[frozenset[str]] = []
        """The columns of each file."""
        self._mixed: dict[str, str] = {}

    def guess(self, field: Any) -> Guess:
        if self._kind in ("csv", "tsv") or field.name in self._keys:
            return TextGuess()
        return JsonGuess() if self._kind == "jsonl" else TypedGuess(field.type)

    def batches(self, advanced: Callable[[int], None]) -> Iterator[Any]:
        """File after file."""
        self._had = []
        sets: dict[frozenset[str], frozenset[str]] = {}
        passed = 0
        for part in self.parts:
            self._at, self._before, self._rows = part, 0, 0
            part.require_unchanged()
            reader = open_reader(
                part.path,
                part.kind,
                self._staging,
                label=part.label,
                delimiter=self._delimiter,
                encoding=self._encoding,
                columns=self._wanted,
                most=self._most,
            )
            had = set(getattr(reader, "names", ()))
            if had:
                self._check_wanted(had)
            for batch in reader.batches(lambda done, passed=passed: advanced(passed + done)):  # type: ignore[misc]
                had |= set(batch.schema.names)
                self._before, self._rows = self._rows, self._rows + batch.num_rows
                yield self._shaped(batch, part)
            if isinstance(reader, JsonLinesReader):
                self._mixed = {**reader.mixed, **self._mixed}
            part.require_unchanged()
            passed += part.mark.size
            names = frozenset(had)
            self._had.append(sets.setdefault(names, names))
        self._check_all_wanted()

    def where(self, row: int) -> str:
        return f"row {self._before + row + 1} of {self._at.label}"

    def part(self) -> str:
        return self._at.label

    def remarks(self) -> Sequence[str]:
        said: list[str] = []
        if len(self.parts) > 1:
            said.append(f"{plural(len(self.parts), 'file')}, in the order of their paths, from {self.parts[0].label}")
        if self._passed_over:
            more = f" and {len(self._passed_over) - 1} more" if len(self._passed_over) > 1 else ""
            said.append(f"passed over, because the name is none of a table: {self._passed_over[0]}{more}")
        return said

    def about(self, column: str) -> str:
        if column in self._keys:
            return ""
        with_it = sum(column in had for had in self._had)
        if with_it < len(self._had):
            first = next(part.label for part, had in zip(self.parts, self._had, strict=True) if column not in had)
            return f"in {with_it} of {len(self._had)} files, not in {first}"
        return self._mixed.get(column, "")

    def _shaped(self, batch: Any, part: Part) -> Any:
        """With the keys of the part's folders as columns at the end, and only what is wanted."""
        import pyarrow as pa

        for key, value in part.keys:
            if key in batch.schema.names:
                raise Invalid(
                    f"{part.label}: column {key!r} is in the file, and a folder {key}=… around it says it too. Rename "
                    "one, or name the files from within that folder.",
                    "columns",
                )
            batch = batch.append_column(key, pa.repeat(pa.scalar(value, pa.string()), batch.num_rows))
        if self._wanted:
            batch = batch.select([name for name in self._wanted if name in batch.schema.names])
        return batch

    def _check_wanted(self, had: set[str]) -> None:
        """At once where there is but one file, or this one has nothing that is wanted."""
        known = {*had, *self._keys}
        missing = [name for name in self._wanted if name not in known]
        if missing and len(self.parts) == 1:
            raise self._absent(missing[0], known)
        if missing and len(missing) == len(self._wanted):
            raise Invalid(
                f"{self._at.label} has none of the columns {', '.join(missing[:20])}; leave the file out, or name a "
                "column that it has.",
                "columns",
            )

    def _check_all_wanted(self) -> None:
        known = frozenset(self._keys).union(*self._had)
        for name in self._wanted:
            if name not in known:
                raise self._absent(name, known)

    def _absent(self, name: str, known: set[str] | frozenset[str]) -> Invalid:
        named = ", ".join(sorted(known)[:20])
        where = f"{self._at.label} has no" if len(self.parts) == 1 else f"none of the {len(self.parts)} files has a"
        return Invalid(f"{where} column {name!r}{nearest(name, known)}; there are {named}.", "columns")
