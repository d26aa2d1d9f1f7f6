"""`mlops-console dataset transform|transforms`: make versions of versions by a recipe of steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backends.entities import Definition
from console.cli.dataset import dataset
from console.cli.output import Col, gap, narrate, print_lines, print_table
from console.cli.verb import Invocation, reason_option
from console.data.transform.result import Preview, StepReport
from console.wording import plural, since, thousands

KIND = "transform"

STEP_COLUMNS: list[Col[StepReport]] = [
    Col("#", lambda item: item.number, right=True),
    Col("step", lambda item: item.do),
    Col("rows", lambda item: thousands(item.rows_out) if item.rows_in else "", right=True),
    Col("learned", lambda item: item.learned, widest=70),
    Col("new", lambda item: ", ".join(item.added), widest=50),
    Col("gone", lambda item: ", ".join(item.removed), widest=50),
]

TRANSFORM_COLUMNS: list[Col[Definition]] = [
    Col("transform", lambda item: item.ref),
    Col("age", lambda item: since(item.created_at), right=True),
    Col("by", lambda item: item.created_by),
    Col("fitted on", lambda item: _fitted_on(item)),
    Col("note", lambda item: item.note),
]


@dataset.command("transform")
@click.argument("ref", metavar="NAME[@VERSION]")
@click.option("--recipe", "file", type=click.Path(path_type=Path), help="Fit the steps in this TOML file.")
@click.option("--use", default="", metavar="TRANSFORM[@VERSION]", help="Do what this fitted transform did.")
@click.option("--name", default="", help="Of the new dataset; parts of a split are NAME-part.")
@click.option("--preview", default=0, metavar="ROWS", type=click.IntRange(0, 1000), help="Show a sample; keep nothing.")
@reason_option
@click.pass_obj
def transform(
    invocation: Invocation, ref: str, file: Path | None, use: str, name: str, preview: int, reason: str, key: str
) -> None:
    """Make new versions of a version by a recipe of steps.

    What steps learn (means, categories, edges) they learn from the training part alone; it is kept with the recipe as
    a transform, and --use does the same to test data of another day and to production data.
    """
    from console.cli.follow import ProgressLine
    from console.data.transform.job import TransformJob, preview_offloaded, transform_offloaded

    if (file is None) == (not use):
        raise click.UsageError("give --recipe FILE to fit its steps, or --use TRANSFORM to do what was fitted")
    job = TransformJob(ref=ref, file=str(file.absolute()) if file else "", use=use, name=name, preview=preview)
    if preview:
        found = preview_offloaded(invocation.backend, job)
        invocation.show(found, lambda: _print_preview(found))
        return
    with ProgressLine() as line:
        made = transform_offloaded(invocation.backend, job, invocation.mutation(reason, key), on_progress=line.follow)

    def human() -> None:
        print_table(made.steps, STEP_COLUMNS)
        for note in made.notes:
            narrate(note)
        for part in made.parts:
            had = "" if part.created else " (this very content was there already)"
            size = f"{plural(part.version.rows, 'row')}, {plural(len(part.version.columns), 'column')}"
            narrate(f"{part.version.ref}: {size}{had}")
        narrate(f"transform {made.definition.ref}")

    invocation.show(made, human)


@dataset.command("transforms")
@click.argument("name", metavar="[TRANSFORM[@VERSION]]", required=False)
@click.pass_obj
def transforms(invocation: Invocation, name: str | None) -> None:
    """The fitted transforms; with a name its recipe, and with --json what each step learned."""
    definitions = invocation.need("definitions")
    if name is None:
        invocation.show_page(
            definitions.page(KIND), TRANSFORM_COLUMNS,
            empty="no transform yet; mlops-console dataset transform NAME --recipe FILE fits one",
        )  # fmt: skip
        return
    found: Definition = definitions.get(KIND, name)
    invocation.show(found, lambda: print_lines(found.text.rstrip()))


def _print_preview(found: Preview) -> None:
    _print_rows(found.before, found.rows)
    narrate(f"{found.ref} as it is: {plural(found.total, 'row')}, {plural(len(found.before), 'column')}")
    gap()
    print_table(found.steps, STEP_COLUMNS)
    for part in found.parts:
        gap()
        _print_rows(found.after, part.first)
        called = f"part {part.part}" if part.part else "after the steps"
        narrate(f"{called}: {plural(part.rows, 'row')} of the sample, {plural(len(found.after), 'column')}")
    for note in found.notes:
        narrate(note)
    narrate(f"a preview on {plural(found.sample, 'row')}; nothing was kept")


def _print_rows(names: Any, rows: Any) -> None:
    columns: list[Col[tuple[Any, ...]]] = [
        Col(column.name, lambda row, at=at: row[at], right=column.type.numeric)  # type: ignore[misc]
        for at, column in enumerate(names)
    ]
    print_table(rows, columns, empty="no rows")


def _fitted_on(item: Definition) -> str:
    import msgspec

    class Head(msgspec.Struct):
        fitted_on: str = ""

    try:
        return msgspec.json.decode(item.state, type=Head).fitted_on
    except msgspec.DecodeError:
        return ""
