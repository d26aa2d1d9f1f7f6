"""The case for a promotion, and the replay of what callers asked."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from backends.contract import Invalid
from backends.entities import Model, ModelVersion
from console.tui.actions import BY_ID
from console.tui.underway import looked_up
from console.tui.verbs.models import ALIAS, promote, which_version

if TYPE_CHECKING:
    from console.tui.here import Here


async def show_case(here: Here) -> None:
    """Of the selected version, or of one that is picked; the argument names the alias that would move."""
    version = await _meant(here, "The case for which version of")
    if version is not None:
        await _open(here, version, here.argument.strip() or ALIAS)


async def replay(here: Here) -> None:
    """The last logged requests (the argument says how many) asked of the selected version; then its case."""
    from console.serving.replay.figures import MOST_ROWS, ROWS

    asked = here.argument.strip().replace(" ", "")
    if asked and not (asked.isdigit() and 1 <= int(asked) <= MOST_ROWS):
        raise Invalid(f"{here.argument}: a number of requests is wanted, 1 to {MOST_ROWS}; without one it is {ROWS}")
    version = await _meant(here, "Replay requests with which version of")
    if version is not None:
        await _replay(here, version, ALIAS, int(asked) if asked else ROWS)


async def _meant(here: Here, question: str) -> ModelVersion | None:
    chosen = here.selected
    if isinstance(chosen, Model):
        return await which_version(here, here.backend, chosen, question)
    assert isinstance(chosen, ModelVersion)  # noqa: S101 or the action were not available
    return chosen


async def _replay(here: Here, version: ModelVersion, alias: str, rows: int) -> None:
    from console.serving.replay.figures import ReplayJob
    from console.serving.replayer import replayed

    job = ReplayJob(model=version.model, version=version.version, alias=alias, rows=rows)
    actor = here.session.actor if here.session is not None else ""
    report = await looked_up(
        here.app,
        f"replaying requests with {version.ref}",
        lambda told, end: replayed(here.backend, job, actor, on_progress=told, cancel=end),
    )
    if report is not None:
        await _open(here, version, alias, at="replay")


async def _open(here: Here, version: ModelVersion, alias: str, at: str = "") -> None:
    from console.promotion.case_facts import facts_of
    from console.promotion.case_parts import parts
    from console.promotion.promote import case_for
    from console.serving.replay.figures import ROWS
    from console.tui.case_screen import CaseScreen

    backend, app = here.backend, here.app
    facts = await looked_up(
        app,
        f"comparing {version.ref} row by row",
        lambda _, end: facts_of(backend, case_for(backend, version.model, version.version, alias), cancel=end),
    )
    if facts is None:
        return
    there = dataclasses.replace(here, selected=version, argument=alias)
    app.push_screen(
        CaseScreen(
            f"case for {version.model} v{version.version} → {alias}",
            parts(facts),
            app.size.width,
            replay=lambda: app.set_about(BY_ID["replay"], _replay(there, version, alias, ROWS)),
            promote=lambda: app.set_about(BY_ID["promote"], promote(there)),
            at=at,
        )
    )
