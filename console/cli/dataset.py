"""`mlops-console dataset …`: import, look at and export versions of data."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from backends.contract import NotFound
from backends.entities import Column, Dataset, DatasetVersion
from console.cli.dataset_check import check
from console.cli.output import Col, gap, narrate, print_lines, print_record, print_table
from console.cli.verb import Invocation, Noun, listing, parsed_query, reason_option
from console.config import nearest
from console.wording import local_time, since, size, thousands


@click.group("dataset", cls=Noun)
def dataset() -> None:
    """Import, look at and compare versions of data."""


dataset.add_command(check)

DATASET_COLUMNS: list[Col[Dataset]] = [
    Col("name", lambda item: item.name),
    Col("latest", lambda item: f"@{item.latest}", right=True),
    Col("rows", lambda item: thousands(item.rows), right=True),
    Col("age", lambda item: since(item.updated_at or item.created_at), right=True),
    Col("versions", lambda item: item.versions, right=True),
    Col("by", lambda item: item.created_by),
    Col("note", lambda item: item.note),
]

VERSION_COLUMNS: list[Col[DatasetVersion]] = [
    Col("version", lambda item: item.ref),
    Col("rows", lambda item: thousands(item.rows), right=True),
    Col("columns", lambda item: len(item.columns), right=True),
    Col("size", lambda item: size(item.bytes), right=True),
    Col("age", lambda item: since(item.created_at), right=True),
    Col("digest", lambda item: item.digest[:12]),
    Col("source", lambda item: item.source),
    Col("parent", lambda item: item.parent),
    Col("by", lambda item: item.created_by),
    Col("note", lambda item: item.note),
]

COLUMN_COLUMNS: list[Col[Column]] = [
    Col("column", lambda item: item.name),
    Col("type", lambda item: item.type),
    Col("missing", lambda item: "" if item.nulls is None else thousands(item.nulls), right=True),
    Col("unit", lambda item: item.unit),
    Col("note", lambda item: item.note, widest=60),
]


@dataset.command("list")
@listing
@click.pass_obj
def list_(invocation: Invocation, query: tuple[str, ...], where: str, sort: str, limit: int, at: str) -> None:
    """Datasets. QUERY: rows > 1000 and name ~ flights"""
    from backends.query import DATASET_FIELDS

    page = invocation.need("datasets").page(parsed_query(query, where, sort, DATASET_FIELDS), at=at, limit=limit)
    invocation.show_page(page, DATASET_COLUMNS, empty="no dataset yet; mlops-console dataset import FILE makes one")


@dataset.command("show")
@click.argument("ref", metavar="NAME[@VERSION]")
@click.pass_obj
def show(invocation: Invocation, ref: str) -> None:
    """A version: where it came from, its columns. Without @VERSION the latest."""
    found: DatasetVersion = invocation.need("datasets").version(ref)

    def human() -> None:
        print_record(
            {
                "version": found.ref,
                "rows": thousands(found.rows),
                "size": size(found.bytes),
                "digest": found.digest,
                "source": found.source,
                "parent": found.parent,
                "by": found.created_by,
                "created": local_time(found.created_at),
                "note": found.note,
            }
        )
        gap()
        print_table(found.columns, COLUMN_COLUMNS)

    invocation.show(found, human)


@dataset.command("versions")
@click.argument("name")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.option("--at", default="", metavar="CURSOR", help="Go on from what an earlier list gave as next.")
@click.pass_obj
def versions(invocation: Invocation, name: str, limit: int, at: str) -> None:
    """The versions of a dataset, newest first."""
    page = invocation.need("datasets").versions(name, at=at, limit=limit)
    invocation.show_page(page, VERSION_COLUMNS, empty=f"{name} has no versions")


@dataset.command("profile")
@click.argument("ref", metavar="NAME[@VERSION]")
@click.argument("column", required=False)
@click.pass_obj
def profile(invocation: Invocation, ref: str, column: str | None) -> None:
    """What the columns hold, or COLUMN in full: missing, distinct, ranges, shape, most common values.

    Made once for a content and kept.
    """
    from console.cli.follow import ProgressLine
    from console.cli.profile_text import print_column, print_profile
    from console.data.offloaded import profile_offloaded

    version: DatasetVersion = invocation.need("datasets").version(ref)
    known = {item.name: item for item in version.columns}
    if column is not None and column not in known:
        raise click.UsageError(f"{version.ref} has no column {column}{nearest(column, list(known))}")
    with ProgressLine() as line:
        found = profile_offloaded(invocation.backend, version.ref, on_progress=line.follow)
    if column is None:
        invocation.show(found, lambda: print_profile(found))
        return
    one = next(item for item in found.columns if item.name == column)
    invocation.show(one, lambda: print_column(one, known[column], found.rows))


@dataset.command("column")
@click.argument("column", metavar="NAME.COLUMN")
@click.option("--unit", default=None, help="What it is measured in: min, km, USD; empty takes it away.")
@click.option("--note", default=None, help="What it means.")
@reason_option
@click.pass_obj
def column_(invocation: Invocation, column: str, unit: str | None, note: str | None, reason: str, key: str) -> None:
    """Say what a column means and is measured in, for all versions of the dataset."""
    datasets = invocation.need("datasets")
    name, title = _split_column(datasets, column)
    if not title:
        raise click.UsageError(f"{column}: wanted NAME.COLUMN, such as flights.dep_delay")
    if unit is None and note is None:
        raise click.UsageError("nothing to write: give --unit or --note")
    datasets.set_column(name, title, invocation.mutation(reason, key), note=note, unit=unit)
    after = next(item for item in datasets.version(name).columns if item.name == title)
    said = (
        "; ".join(part for part in (after.unit and f"in {after.unit}", after.note) if part) or "nothing is said of it"
    )
    invocation.show(after, lambda: narrate(f"{name}.{title}: {said}"))


def _split_column(datasets: Any, text: str) -> tuple[str, str]:
    """`flights.dep_delay` → its two names, either of which may hold dots itself."""
    near = text.partition(".")[::2]
    for at in (at for at, sign in enumerate(text) if sign == "."):
        with contextlib.suppress(NotFound):
            near = text[:at], text[at + 1 :]
            if any(column.name == near[1] for column in datasets.version(near[0]).columns):
                break
    return near


@dataset.command("rows")
@click.argument("ref", metavar="NAME[@VERSION]")
@click.option("--offset", default=0, show_default=True, type=click.IntRange(0), help="First row, counted from 0.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.option("--find", default="", metavar="TEXT", help="Only rows that hold this word, or are of this expression.")
@click.pass_obj
def rows(invocation: Invocation, ref: str, offset: int, limit: int, find: str) -> None:
    """Some rows of a version: from --offset on, or from there on those that --find finds."""
    from console.cli.follow import ProgressLine
    from console.cli.profile_text import print_found, print_rows
    from console.data.offloaded import rows_offloaded
    from console.data.reading import found_rows

    if not find:
        found = rows_offloaded(invocation.backend, ref, offset, limit)
        invocation.show(found, lambda: print_rows(found))
        return
    with ProgressLine() as line:
        hits = found_rows(invocation.backend, ref, find, offset, limit, on_progress=line.follow)
    invocation.show(hits, lambda: print_found(hits))


@dataset.command("lineage")
@click.argument("ref", metavar="NAME[@VERSION]")
@click.pass_obj
def lineage(invocation: Invocation, ref: str) -> None:
    """Where a version comes from, and which versions, runs and models were made from it."""
    from console.cli.lineage import print_lineage
    from console.lineage import lineage as followed

    found = followed(invocation.backend, f"dataset:{ref}")
    invocation.show(found, lambda: print_lineage(found, up=True, down=True))


@dataset.command("export")
@click.argument("ref", metavar="NAME[@VERSION]")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--format", "kind", default=None, help="csv, jsonl or parquet; from the file's name without it.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.pass_obj
def export(invocation: Invocation, ref: str, file: Path, kind: str | None, force: bool) -> None:
    """Write a version to FILE."""
    from console.cli.follow import ProgressLine
    from console.data.offloaded import export_offloaded

    with ProgressLine() as line:
        written = export_offloaded(
            invocation.backend, ref, file.absolute(), format=kind, overwrite=force, on_progress=line.follow
        )
    invocation.show({"file": str(written.absolute())}, lambda: print_lines(written))


@dataset.command("note")
@click.argument("ref", metavar="NAME[@VERSION]")
@click.argument("text")
@reason_option
@click.pass_obj
def note(invocation: Invocation, ref: str, text: str, reason: str, key: str) -> None:
    """Write a note on a dataset or on one of its versions."""
    datasets = invocation.need("datasets")
    datasets.set_note(ref, text, invocation.mutation(reason, key))
    after = datasets.version(ref) if "@" in ref else datasets.get(ref)
    invocation.show(after, lambda: narrate(f"{ref}: {after.note}"))


@dataset.command("delete")
@click.argument("ref", metavar="NAME[@VERSION]")
@click.option("--confirm", metavar="REF", help="The same again: deleting cannot be undone.")
@click.option("--override", is_flag=True, help="Although a model with an alias was trained on it; wants --reason.")
@reason_option
@click.pass_obj
def delete(invocation: Invocation, ref: str, confirm: str | None, override: bool, reason: str, key: str) -> None:
    """Delete a version of a dataset, or without @VERSION all of it.

    Refused while a model that an alias names was trained on it.
    """
    from console.data.deletion import delete_data, versions_of

    versions_of(invocation.need("datasets"), ref)
    invocation.confirm(ref, confirm, deed=f"delete dataset {ref}", production_only=False)
    freed = delete_data(invocation.backend, ref, invocation.mutation(reason, key), override=override)
    invocation.show(
        {"deleted": ref, "bytes": freed},
        lambda: narrate(f"{ref}: deleted; {size(freed)} of files that nothing names any more"),
    )


# The noun's further verbs, which are written on it.
from console.cli import dataset_bias as _bias  # noqa: E402, F401
from console.cli import dataset_diff as _diff  # noqa: E402, F401
from console.cli import dataset_features as _features  # noqa: E402, F401
from console.cli import dataset_import as _import  # noqa: E402, F401
from console.cli import dataset_transform as _transform  # noqa: E402, F401
from console.cli import dataset_watch as _watch  # noqa: E402, F401
