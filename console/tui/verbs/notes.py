"""Writing notes."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from backends.entities import Alert, Column, Dataset, DatasetVersion, Deployment, Model, ModelVersion, Monitor, Run
from console.safe import safe_text
from console.tui.dialogs import Ask, Field, Form

if TYPE_CHECKING:
    from console.tui.here import Here

NOTED = Run | ModelVersion | Model | Dataset | DatasetVersion | Deployment | Monitor | Alert


async def write_note(here: Here) -> None:
    from console.tui.panes.datasets import DatasetsPane

    column = here.view.column if isinstance(here.view, DatasetsPane) else None
    if column is not None:
        await _describe_column(here, column)
        return
    chosen = here.selected
    assert isinstance(chosen, NOTED)  # noqa: S101 or the action were not available
    assert here.session is not None  # noqa: S101
    session = here.session
    backend = session.backend
    name = _name_of(chosen)
    text = here.argument or await here.app.ask(Ask(f"Note on {safe_text(name, 60)}", "note", chosen.note, empty=True))
    if text is None or text == chosen.note:
        return
    note, mutation = text, session.mutation(key=uuid.uuid4().hex)

    def write() -> None:
        if isinstance(chosen, Run):
            backend.need("runs").set_note(chosen.id, note, mutation)
        elif isinstance(chosen, Dataset | DatasetVersion):
            backend.need("datasets").set_note(name, note, mutation)
        elif isinstance(chosen, Deployment):
            from console.serving.deployment import change

            change.note(backend, chosen.name, note, mutation)
        elif isinstance(chosen, Monitor):
            from console.monitoring.notes import note_monitor

            note_monitor(backend, chosen.name, note, mutation)
        elif isinstance(chosen, Alert):
            backend.need("monitors").note_alert(chosen.id, note, mutation)
        elif isinstance(chosen, ModelVersion):
            backend.need("registry").set_note(chosen.model, chosen.version, note, mutation)
        else:
            backend.need("registry").set_note(chosen.name, "", note, mutation)

    await here.app.carry_out(write)
    here.app.tell(f"{name}: noted")


def _name_of(chosen: NOTED) -> str:
    match chosen:
        case ModelVersion() | DatasetVersion():
            return chosen.ref
        case Alert():
            return f"the alert of {chosen.monitor}, {chosen.metric}"
    return chosen.name


async def _describe_column(here: Here, column: Column) -> None:
    """What a column means and is measured in, for all versions of its dataset."""
    version = here.selected
    assert isinstance(version, DatasetVersion)  # noqa: S101 a column is in a version
    assert here.session is not None  # noqa: S101
    session, name = here.session, version.dataset
    fields = [
        Field("unit", "unit", column.unit, "min, km, USD; empty for none"),
        Field("note", "means", column.note, "in a sentence"),
    ]
    title = f"Column {safe_text(column.name, 40)} of {safe_text(name, 40)}, in all versions"
    values = await here.app.ask(Form(title, fields, "write"))
    if values is None:
        return
    mutation = session.mutation(key=uuid.uuid4().hex)
    store = session.backend.need("datasets")
    await here.app.carry_out(
        lambda: store.set_column(name, column.name, mutation, note=values["note"], unit=values["unit"])
    )
    here.app.tell(f"{name}.{column.name}: noted")
