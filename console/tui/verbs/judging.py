"""Whether what was trained can be trusted, and whether groups are treated alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.entities import Dataset, DatasetVersion, Model, ModelVersion, Run
from console.safe import safe_text
from console.tui.dialogs import Field, Form
from console.tui.lines import Line
from console.tui.reading import ReadingScreen
from console.tui.report_lines import bias_lines, result_lines
from console.tui.underway import looked_up

if TYPE_CHECKING:
    from console.tui.here import Here


async def audit(here: Here) -> None:
    """What the audit of a run found; of a version, that of the run it came from."""
    from console.training.audit.read import read_audit

    chosen = here.selected
    run = chosen.id if isinstance(chosen, Run) else chosen.run if isinstance(chosen, ModelVersion) else ""
    found = await here.app.look_up(lambda: read_audit(here.backend, run)) if run else None
    what = chosen.ref if isinstance(chosen, ModelVersion) else chosen.name if isinstance(chosen, Run) else ""
    if found is None:
        here.app.tell(
            f"{safe_text(what, 40)} was not audited: only trainings from a recipe are, once they have finished"
        )
        return
    lines = result_lines(found.results, here.app.size.width)
    here.app.push_screen(ReadingScreen(f"audit of {what}", lines))


async def bias(here: Here) -> None:
    """Groups of a dataset version by what is in it, or of a model by what it said of its held-out rows."""
    chosen = here.selected
    if isinstance(chosen, Model):
        chosen = await _champion(here, chosen)
    if isinstance(chosen, ModelVersion):
        await _of_model(here, chosen)
    elif isinstance(chosen, Dataset | DatasetVersion):
        await _of_data(here, chosen.ref if isinstance(chosen, DatasetVersion) else f"{chosen.name}@{chosen.latest}")


async def _champion(here: Here, model: Model) -> ModelVersion:
    held = model.aliases.get("champion", model.latest)
    found: ModelVersion = await here.app.look_up(lambda: here.backend.need("registry").version(model.name, held))
    return found


async def _of_data(here: Here, ref: str) -> None:
    from console.data.bias.examine import BiasJob
    from console.data.bias.groups import Asked
    from console.data.offloaded import bias_offloaded

    version = await here.app.look_up(lambda: here.backend.need("datasets").version(ref))
    names = tuple(column.name for column in version.columns)
    fields = [
        Field("by", "groups by", "", "a column or a condition; several with commas cross", names),
        Field("label", "label", "", "what happened: a column or a condition, such as dep_delay > 15", names),
        Field("positive", "positive", "", "the label's value that counts, where it is text"),
        Field("score", "score", "", "a column of probabilities, where predictions are in it", names),
    ]
    values = await here.app.ask(Form(f"Compare the groups of {ref}", fields, "compare", check=_enough))
    if values is None:
        return
    asked = Asked(
        by=_several(values["by"]), label=values["label"], positive=values["positive"], score=values["score"]
    )  # fmt: skip
    actor = here.session.actor if here.session is not None else ""
    report = await looked_up(
        here.app,
        f"counting groups of {ref}",
        lambda told, end: bias_offloaded(
            here.backend, BiasJob(ref=ref, asked=asked), actor, on_progress=told, cancel=end
        ),
    )
    if report is None:
        return
    here.app.push_screen(ReadingScreen(f"groups of {ref}", bias_lines(report, here.app.size.width)))


async def _of_model(here: Here, version: ModelVersion) -> None:
    from console.training.bias import ModelBiasJob
    from console.training.examiner import bias_of_model

    fields = [Field("by", "groups by", "", "a column of its data or a condition; several with commas cross")]
    values = await here.app.ask(Form(f"How {version.ref} treats groups", fields, "compare", check=_groups))
    if values is None:
        return
    job = ModelBiasJob(model=version.model, version=version.version, by=_several(values["by"]))
    actor = here.session.actor if here.session is not None else ""
    report = await looked_up(
        here.app,
        f"counting groups of {version.ref}",
        lambda told, end: bias_of_model(here.backend, job, actor, on_progress=told, cancel=end),
    )
    if report is None:
        return
    lines: list[Line] = bias_lines(report, here.app.size.width)
    here.app.push_screen(ReadingScreen(f"how {version.ref} treats groups", lines))


def _several(text: str) -> tuple[str, ...]:
    """`origin, carrier` → both; a comma inside brackets or quotes separates nothing."""
    parts, depth, quote, start = [], 0, "", 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"`":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "," and not depth:
            parts.append(text[start:at])
            start = at + 1
    return tuple(part.strip() for part in [*parts, text[start:]] if part.strip())


def _groups(values: dict[str, str]) -> str:
    return "" if _several(values["by"]) else "by which column?"


def _enough(values: dict[str, str]) -> str:
    if wrong := _groups(values):
        return wrong
    return "" if values["label"] or values["score"] else "which label, or which score?"
