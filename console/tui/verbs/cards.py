"""The card of a version on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.contract import Invalid
from backends.entities import Model, ModelVersion
from console.safe import safe_text
from console.tui.underway import looked_up

if TYPE_CHECKING:
    from console.tui.here import Here


async def version_of(here: Here) -> ModelVersion:
    """The selected version; of a model its champion, or its latest."""
    chosen = here.selected
    if isinstance(chosen, Model):
        held = chosen.aliases.get("champion", chosen.latest)
        found: ModelVersion = await here.app.look_up(lambda: here.backend.need("registry").version(chosen.name, held))
        return found
    assert isinstance(chosen, ModelVersion)  # noqa: S101 or the action were not available
    return chosen


async def show_card(here: Here) -> None:
    """Intervals and slices are measured where they were not, in a process of its own; then everything is gathered."""
    from backends.contract import BackendError
    from console.promotion.card_facts import card_of, held_out_report
    from console.training.examiner import held_out_of_model
    from console.tui.card_screen import CardScreen

    version, backend = await version_of(here), here.backend
    actor = here.session.actor if here.session is not None else ""
    if version.run and await here.app.look_up(lambda: held_out_report(backend, version)) is None:
        try:
            measured = await looked_up(
                here.app,
                f"measuring intervals of {version.ref}",
                lambda told, end: held_out_of_model(
                    backend, version.model, version.version, actor, on_progress=told, cancel=end
                ),
            )
        except BackendError:
            pass  # the card itself says what is not known
        else:
            if measured is None:
                return
    card = await here.app.look_up(lambda: card_of(backend, version.model, version.version))
    here.app.push_screen(CardScreen(card, here.app.size.width))


async def convert(here: Here) -> None:
    """Make the version's ONNX form, and show how far its answers lie from the model's."""
    from console.serving.onnx.facts import sentence
    from console.serving.onnx.worker import export_onnx
    from console.tui.lines import wrapped
    from console.tui.reading import ReadingScreen
    from console.tui.report_lines import result_lines

    version, backend = await version_of(here), here.backend
    actor = here.session.actor if here.session is not None else ""
    report = await looked_up(
        here.app,
        f"converting {version.ref}",
        lambda told, end: export_onnx(backend, version.model, version.version, actor, on_progress=told, cancel=end),
    )
    if report is None:
        return
    width = here.app.size.width - 4
    said = wrapped(safe_text(sentence(report, report.digest), 400), width, indent=" ")
    here.app.push_screen(ReadingScreen(f"ONNX form of {version.ref}", [*said, *result_lines(report.results, width)]))


async def explain(here: Here) -> None:
    """What the version looks at; with a number as argument, what moved the prediction of that row of its data."""
    from console.training.examiner import explained
    from console.training.explain.figures import ExplainJob
    from console.tui.explain_lines import explain_lines
    from console.tui.reading import ReadingScreen

    version, backend, asked = await version_of(here), here.backend, here.argument.strip()
    if asked and not asked.isdigit():
        raise Invalid(f"{asked}: a row of its data is wanted, as a number from 0; without one the version is explained")
    job = ExplainJob(model=version.model, version=version.version, row=int(asked) if asked else None)
    actor = here.session.actor if here.session is not None else ""
    report = await looked_up(
        here.app,
        f"explaining {version.ref}",
        lambda told, end: explained(backend, job, actor, on_progress=told, cancel=end),
    )
    if report is None:
        return
    what = f"row {asked} of {version.ref}" if asked else version.ref
    here.app.push_screen(ReadingScreen(f"what moves {what}", explain_lines(report, here.app.size.width)))
