"""Checking a version: the report, running the checks, editing them, letting some be suggested."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from backends.contract import Invalid, NotFound
from backends.entities import Dataset, DatasetVersion, Definition, Report
from console.data.checks.standing import checks_of, standing_of
from console.safe import safe_text
from console.tui.check_lines import report_lines
from console.tui.dialogs import Confirm, sentences
from console.tui.lines import text_lines
from console.tui.reading import ReadingScreen
from console.tui.verbs.editing import in_editor
from console.wording import plural

if TYPE_CHECKING:
    from console.tui.here import Here

FIRST = """# Checks of {name}. Take away the # before what you want; lines that keep theirs say nothing.
# [columns.NAME]
# type = "float"
# missing = 0.02
# min = 0
# [[check]]
# kind = "rows"
# min = 1000
#
# Kinds, and what they need; severity = "warn", owner and note go with each:
"""


async def show_report(here: Here) -> None:
    """`C`: what the checks of the version found when they were last run."""
    version = await _version(here)
    standing = await here.app.look_up(lambda: standing_of(here.backend, version))
    if standing.report is None:
        there = (
            "they were not run on it yet: K runs them" if standing.definition else "E writes some, :suggest proposes"
        )
        here.app.tell(f"{version.ref} has no report: {there}", severity="warning")
        return
    _read(here, standing.report, " (the checks changed since: K runs them)" if standing.outdated else "")


async def run_checks(here: Here) -> None:
    """`K`: run the dataset's checks on the version, in a process of its own."""
    assert here.session is not None  # noqa: S101 the action needs a store of reports
    session = here.session
    version = await _version(here)
    if await here.app.look_up(lambda: checks_of(session.backend, version.dataset)) is None:
        raise NotFound(f"there are no checks for {version.dataset} yet: E writes some, :suggest proposes some")
    from console.data.offloaded import check_offloaded

    mutation = session.mutation(key=uuid.uuid4().hex)
    progress = here.app.report(f"checking {version.ref}")
    try:
        report = await here.app.carry_out(
            lambda: check_offloaded(session.backend, version.ref, mutation, on_progress=progress)
        )
    finally:
        here.app.say_work(())
    here.app.tell(f"{version.ref}: {report.status.value}, {plural(len(report.results), 'check')}")
    _read(here, report)


async def edit_checks(here: Here) -> None:
    """`E`: the dataset's checks in your editor; what is understood is kept as their next version."""
    version = await _version(here)
    kept: Definition | None = await here.app.look_up(lambda: checks_of(here.backend, version.dataset))
    await _edit(here, version, kept.text if kept else _first(version))


async def suggest(here: Here) -> None:
    """`:suggest`: propose checks from the version, to be kept as they are or edited first."""
    assert here.session is not None  # noqa: S101 the action needs a store of definitions
    session = here.session
    version = await _version(here)
    from console.data.checks.known_target import last_target
    from console.data.offloaded import suggest_offloaded

    target = here.argument or await here.app.look_up(lambda: last_target(session.backend, version))
    if target and target not in {column.name for column in version.columns}:
        raise Invalid(f"{target} is not a column of {version.ref}; after :suggest stands the label, or nothing")
    progress = here.app.report(f"suggesting from {version.ref}")
    try:
        text = await here.app.carry_out(
            lambda: suggest_offloaded(session.backend, version.ref, target=target, on_progress=progress)
        )
    finally:
        here.app.say_work(())
    from console.data.checks.grammar import parse_checks

    count = len(parse_checks(text).checks)
    label = f" The label is {safe_text(target, 40)}." if target else " No label is known: :suggest COLUMN names it."
    yes = await here.app.ask(
        Confirm(
            f"Checks suggested from {safe_text(version.ref, 40)}",
            sentences(
                f"{plural(count, 'check')}, which this version passes.{label} Enter shows them. Kept, they are the "
                "checks of the dataset from now on; E edits them, and runs are refused on versions that fail them."
            ),
            "keep",
            more=text_lines([str(safe_text(line, 200)) for line in text.splitlines()]),
        )
    )
    if yes is not None:
        await _keep(here, version, text, "suggestion")


async def _version(here: Here) -> DatasetVersion:
    chosen = here.selected
    if isinstance(chosen, DatasetVersion):
        return chosen
    assert isinstance(chosen, Dataset)  # noqa: S101 or the action were not available
    found: DatasetVersion = await here.app.look_up(lambda: here.backend.need("datasets").version(chosen.name))
    return found


def _read(here: Here, report: Report, more: str = "") -> None:
    lines = report_lines(report, here.app.size.width)
    here.app.push_screen(ReadingScreen(f"Checks of {report.subject}{more}", lines))


async def _keep(here: Here, version: DatasetVersion, text: str, source: str) -> None:
    assert here.session is not None  # noqa: S101
    session = here.session
    from console.data.checks.asked import keep_checks

    mutation = session.mutation(key=uuid.uuid4().hex)
    kept, fresh = await here.app.carry_out(
        lambda: keep_checks(session.backend, version.dataset, text, mutation, source)
    )
    if here.view is not None:
        here.view.refresh_data()
    here.app.tell(f"kept as checks {kept.ref}; K runs them" if fresh else f"checks {kept.ref} say this already")


def _first(version: DatasetVersion) -> str:
    """What an editor begins with where there are no checks yet."""
    from console.data.checks.spec import described

    return FIRST.format(name=safe_text(version.dataset, 60)) + "".join(f"# {line}\n" for line in described())


async def _edit(here: Here, version: DatasetVersion, text: str) -> None:
    instead = (
        f"mlops-console dataset check {version.dataset} --show > checks.toml, edit that, then "
        "… --file checks.toml --keep"
    )
    edited = text
    while True:
        edited = in_editor(here, edited, "checks.toml", instead)
        if edited == text:
            here.app.tell("nothing was changed")
            return
        try:
            await _keep(here, version, edited, "checks.toml")
        except Invalid as error:
            again = await here.app.ask(Confirm("The checks are not understood", sentences(str(error)), "edit again"))
            if again is None:
                here.app.tell("nothing was kept", severity="warning")
                return
        else:
            return
