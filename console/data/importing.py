"""A source becomes an immutable dataset version: streamed, typed over its whole length, digested, stored as Parquet."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from backends.contract import DatasetStore, Invalid, Mutation
from backends.entities import Column, DatasetVersion, Progress, Record
from console.data.column_guesses import ColumnGuesses
from console.data.origin import Origin
from console.data.parquet_out import ParquetOut
from console.data.parts import Found, Mark, Part, find_parts, one_part
from console.data.parts_source import PartsSource
from console.data.reader import Source
from console.data.staging import own_folder
from console.data.stream import check_encoding, plain_os_error
from console.data.telling import Teller

__all__ = ["Imported", "ParquetOut", "import_file", "import_origin", "own_folder"]


class Imported(Record, frozen=True, kw_only=True):
    """What became of an import."""

    version: DatasetVersion
    created: bool
    """False where a version with this content was there already."""
    remarks: tuple[str, ...] = ()
    """What a person should know of it, each half a sentence."""


def import_file(
    datasets: DatasetStore,
    path: Path,
    name: str,
    mutation: Mutation,
    *,
    format: str | None = None,  # noqa: A002
    progress: Callable[[Progress], None] | None = None,
    note: str = "",
    parent: str = "",
    staging: Path | None = None,
) -> tuple[DatasetVersion, bool]:
    """As `import_origin`, of a file or folder."""
    origin = Origin(target=str(path), format=format or "")
    done = import_origin(datasets, origin, name, mutation, progress=progress, note=note, parent=parent, staging=staging)
    return done.version, done.created


def import_origin(
    datasets: DatasetStore,
    origin: Origin,
    name: str,
    mutation: Mutation,
    *,
    progress: Callable[[Progress], None] | None = None,
    note: str = "",
    parent: str = "",
    staging: Path | None = None,
    onto: str = "",
) -> Imported:
    """Import CSV, TSV, JSON lines or Parquet, each also gzipped or as zstd, from files, a URL or a bucket, or the rows
    of a query, as the next version of dataset `name`; with `onto`, behind the rows of that version.

    The same content as an existing version gives that version and `created` False. Memory is bounded whatever the size.
    The contract's errors say what is wrong and where; then, and when interrupted, nothing is kept.
    """
    tell = Teller(progress)
    with own_folder(staging or Path(tempfile.gettempdir())) as folder:
        try:
            source = _open(origin, folder, tell)
            table = _convert(source, origin, folder, tell)
            if onto:
                table = _behind(datasets, onto, table, origin, folder, tell)
            version, created = datasets.add(
                name,
                table.path,
                digest=table.digest,
                rows=table.rows,
                columns=table.columns,
                source=origin.source,
                mutation=mutation,
                parent=onto or parent,
                note=note,
            )
        except OSError as error:
            raise plain_os_error(error, Path(origin.short)) from error
    return Imported(version=version, created=created, remarks=tuple(source.remarks()))


class _Table(Record, frozen=True, kw_only=True):
    """A finished Parquet file and what is known of it."""

    path: Path
    digest: str
    rows: int
    columns: tuple[Column, ...]


def _open(origin: Origin, folder: Path, tell: Teller) -> Source:
    """The source, fetched where it lies elsewhere."""
    if origin.kind == "sql":
        from console.data.query_source import QuerySource

        return QuerySource(origin.place, origin.sql, folder, origin.columns)
    encoding = check_encoding(origin.encoding)
    delimiter = _delimiter(origin.delimiter)
    found = _fetched(origin, folder, tell) or _here(origin)
    return PartsSource(
        found.parts,
        folder,
        delimiter=delimiter,
        encoding=encoding,
        columns=origin.columns,
        most=origin.most,
        passed_over=found.passed_over,
    )


def _here(origin: Origin) -> Found:
    """What lies in files of this machine."""
    if not origin.base:
        return find_parts(origin.path, format=origin.format, follow_links=origin.follow_links)
    part = one_part(Path(origin.path), origin.format, Path(origin.base))
    if origin.mark is not None:
        part = replace(part, mark=Mark(*origin.mark))
    return Found((part,), Path(origin.base))


def _fetched(origin: Origin, folder: Path, tell: Teller) -> Found | None:
    """What lies elsewhere, brought here; None where it is here already."""
    if origin.kind not in ("url", "bucket"):
        if origin.sha256:
            raise Invalid("--sha256 checks what is fetched from a URL, and this is no URL.", "sha256")
        return None
    place = folder / "fetched"
    place.mkdir()
    tell.begin("fetching")
    if origin.kind == "url":
        from console.data.fetched import fetch_url

        path = fetch_url(origin.place, place, sha256=origin.sha256, most=origin.most, told=tell.fetched)
        return Found((one_part(path, origin.format),), place)
    from console.data.bucket import fetch_bucket

    path, several = fetch_bucket(origin.place, place, most=origin.most, told=tell.fetched)
    return find_parts(str(path), format=origin.format) if several else Found((one_part(path, origin.format),), place)


def _delimiter(text: str) -> str:
    chosen = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(chosen) > 1 or chosen in ('"', "\n", "\r", "\0"):
        raise Invalid(f"a delimiter is one character, such as ; or tab, and {text!r} is not.", "delimiter")
    return chosen


def _behind(datasets: DatasetStore, onto: str, table: _Table, origin: Origin, folder: Path, tell: Teller) -> _Table:
    """The rows of version `onto`, and then those of the table."""
    stored = datasets.path(onto)
    parts = (
        Part(stored, onto, "parquet", Mark.of(stored)),
        Part(table.path, origin.short, "parquet", Mark.of(table.path)),
    )
    below = folder / "behind"
    below.mkdir()
    return _convert(PartsSource(parts, below), origin, below, tell)


def _convert(source: Source, origin: Origin, folder: Path, tell: Teller) -> _Table:
    """Write while the types hold; where a later row widens one, read on to learn them all, then write in a second
    reading."""
    columns = ColumnGuesses(source)
    tell.begin("reading", source.size, source.unit)
    out: ParquetOut | None = None
    widened = False
    rows = 0
    try:
        for batch in source.batches(tell.advanced):
            tell.say()
            rows += batch.num_rows
            columns.observe(batch)
            if widened:
                continue
            schema = columns.schema()
            if out is None:
                out = ParquetOut(folder / "first.parquet", schema)
            elif schema != out.schema:
                widened = True
                out.abandon()
                tell.stage = "reading to the end: a column's type widened"
                continue
            out.add(columns.convert(batch, schema))
        if out is None or not rows:
            raise _no_row(origin, source)
        if widened:
            tell.begin("reading again with the widened types", source.size or rows, source.unit)
            out = ParquetOut(folder / "second.parquet", columns.schema())
            again = 0
            for batch in source.batches(tell.advanced):
                tell.say()
                again += batch.num_rows
                out.add(columns.convert(batch, out.schema))
            if again != rows:
                raise Invalid(
                    f"{origin.short} changed while it was read ({rows} rows, then {again}); import it again.", "path"
                )
        out.finish()
    finally:
        if out is not None:
            out.abandon()
    return _Table(path=out.path, digest=out.digest.hexdigest(), rows=rows, columns=columns.described(out.nulls))


def _no_row(origin: Origin, source: Source) -> Invalid:
    if origin.sql:
        return Invalid("the query gives no row; nothing was kept.", "rows")
    if isinstance(source, PartsSource) and len(source.parts) > 1:
        return Invalid(f"{origin.short}: none of its {len(source.parts)} files has a row.", "rows")
    return Invalid(f"{source.part()} has a header but no row under it.", "rows")
