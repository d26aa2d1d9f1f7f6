"""`mlops-console dataset import`: bring data in from files, a URL, a bucket or a query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from console.cli.dataset import dataset
from console.cli.output import narrate
from console.cli.verb import Invocation, reason_option
from console.data.origin import Origin, origin_name
from console.wording import plural, size, thousands

NOTES_SHOWN = 8


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How files are read: --format, --encoding, --delimiter, --columns, --most, --follow-links."""
    for decorate in (
        click.option("--follow-links", is_flag=True, help="Follow links that lead out of the folder."),
        click.option(
            "--most", default="", metavar="SIZE", help="Bytes fetched or unpacked at most, such as 20G.  [200G]"
        ),
        click.option("--columns", default="", metavar="A,B", help="Only these columns, in this order."),
        click.option("--delimiter", default="", metavar="CHAR", help="Of CSV; found in the header without it."),
        click.option("--encoding", default="utf-8", show_default=True, help="Of CSV, TSV and JSONL."),
        click.option(
            "--format", "kind", default="", help="csv, tsv, jsonl or parquet; from the files' names without it."
        ),
    ):
        command = decorate(command)
    return command


@dataset.command("import")
@click.argument("source", required=False, metavar="SOURCE")
@click.argument("name", required=False)
@click.option("--sql", default="", metavar="SELECT", help="Import the rows of this query; --from names the database.")
@click.option(
    "--from", "database", default="", metavar="URL", help="sqlite:///FILE, or an SQLAlchemy URL without a password."
)
@click.option(
    "--from-env", default="", metavar="VARIABLE", help="Environment variable that holds the URL, if it has a secret."
)
@click.option("--sha256", default="", metavar="HEX", help="What the file behind a URL must have.")
@reading_options
@click.option("--note", default="", help="A note on the version.")
@click.option("--parent", default="", metavar="NAME@VERSION", help="What this was made from.")
@reason_option
@click.pass_obj
def import_(
    invocation: Invocation,
    source: str | None,
    name: str | None,
    sql: str,
    database: str,
    from_env: str,
    sha256: str,
    kind: str,
    encoding: str,
    delimiter: str,
    columns: str,
    most: str,
    follow_links: bool,
    note: str,
    parent: str,
    reason: str,
    key: str,
) -> None:
    """Keep SOURCE as the next version of dataset NAME. The same content is the same version.

    SOURCE is a file, a folder, a pattern in quotes, or the URL of a file or a bucket: CSV, TSV, JSONL or Parquet, each
    also as .gz or .zst. Several files are read in the order of their paths; folders named key=value become columns.
    """
    from console.cli.follow import ProgressLine
    from console.data.offloaded import import_offloaded

    target, named = _place(source, name, sql, database, from_env)
    origin = Origin(
        target=target,
        env=from_env,
        sql=sql,
        sha256=sha256,
        **read_as(kind, encoding, delimiter, columns, most, follow_links),
    )
    named = named or origin_name(origin)
    if not named:
        raise click.UsageError("which dataset is it to be? Nothing here says a name; give NAME.")
    with ProgressLine() as line:
        done = import_offloaded(
            invocation.backend,
            origin,
            named,
            invocation.mutation(reason, key),
            on_progress=line.follow,
            note=note,
            parent=parent,
        )

    def human() -> None:
        version = done.version
        narrate(
            f"{version.ref}: {thousands(version.rows)} rows, {len(version.columns)} columns, {size(version.bytes)}, "
            f"sha256 {version.digest[:12]}"
            + ("" if done.created else "; this content was there already, nothing was added")
        )
        for remark in done.remarks:
            narrate(remark)
        noted = [column for column in version.columns if column.note] if done.created else []
        for column in noted[:NOTES_SHOWN]:
            narrate(f"{column.name}: {column.note}")
        if len(noted) > NOTES_SHOWN:
            narrate(f"and notes on {plural(len(noted) - NOTES_SHOWN, 'more column')}")

    invocation.show({"version": done.version, "new": done.created, "remarks": done.remarks}, human)


def read_as(kind: str, encoding: str, delimiter: str, columns: str, most: str, follow_links: bool) -> dict[str, Any]:
    """The reading options as parts of an `Origin`."""
    found: dict[str, Any] = {"format": kind, "encoding": encoding, "delimiter": delimiter}
    found |= {
        "columns": tuple(name.strip() for name in columns.split(",") if name.strip()),
        "follow_links": follow_links,
    }
    return found | ({"most": _bytes(most)} if most else {})


def _place(source: str | None, name: str | None, sql: str, database: str, from_env: str) -> tuple[str, str]:
    """Where it comes from, and the dataset's name. After --from or --from-env the one word is the name."""
    if database and not sql:
        raise click.UsageError("--from names a database, and --sql what to read from it; a file or URL stands alone.")
    if database and from_env:
        raise click.UsageError("--from and --from-env both name the place; give one of them.")
    if sql and not (database or from_env):
        raise click.UsageError("--sql wants the database it asks: --from sqlite:///FILE, or --from-env VARIABLE")
    if database or from_env:
        if name:
            raise click.UsageError(f"the place is named already, so {source} {name} is one word too many: give NAME.")
        return database, source or ""
    if not source:
        raise click.UsageError("what is to be imported? Give a file, a folder, a pattern or a URL, or --sql.")
    return source, name or ""


def _bytes(text: str) -> int:
    digits, unit = text.rstrip("bBkKmMgGtT"), text.lstrip("0123456789.").upper().removesuffix("B")
    powers = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
    try:
        found = int(float(digits) * 1000 ** powers[unit])
    except (ValueError, KeyError, OverflowError):
        raise click.UsageError(f"--most {text}: wanted a size such as 500M or 20G") from None
    if found <= 0:
        raise click.UsageError(f"--most {text}: wanted more than nothing")
    return found
