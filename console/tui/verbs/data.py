"""Bringing data in."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from backends.entities import Dataset, DatasetVersion
from console.tui.dialogs import Field, Form
from console.tui.file_names import FileSuggester, complete_file, data_files
from console.tui.verbs.runs import dataset_names
from console.wording import thousands

if TYPE_CHECKING:
    from console.tui.here import Here


async def import_file(here: Here) -> None:
    """A file becomes the next version of a dataset. Read in a process of its own, with a progress line."""
    assert here.session is not None  # noqa: S101 the action needs a dataset store
    session = here.session
    chosen = here.selected
    file = here.argument
    # Inside a dataset a file is its next version. In the list of all, the row under the cursor means nothing: a new
    # file is not to become a version of whatever stands there.
    inside = chosen.dataset if isinstance(chosen, DatasetVersion) else ""
    known = await here.app.look_up(lambda: dataset_names(session.backend))
    near = chosen.name if isinstance(chosen, Dataset) else inside
    files = data_files()
    fields = [
        Field("file", "file", file, "" if files else "CSV, TSV, JSON lines or Parquet", files, FileSuggester()),
        Field(
            "name",
            "dataset",
            inside or _name(file),
            "empty: the file's name",
            tuple(sorted(known, key=lambda each: (each != near, each))),
        ),
        Field("note", "note", ""),
    ]
    values = await here.app.ask(Form("Import a file as a dataset version", fields, "import", check=_check))
    if values is None:
        return
    path = Path(values["file"]).expanduser()
    from console.data.offloaded import import_offloaded

    mutation = session.mutation(key=uuid.uuid4().hex)
    progress = here.app.report(f"importing {path.name}")
    try:
        version, created = await here.app.carry_out(
            lambda: import_offloaded(
                session.backend,
                path,
                values["name"] or _name(values["file"]),
                mutation,
                note=values["note"],
                on_progress=progress,
            )
        )
    finally:
        here.app.say_work(())
    here.app.welcome = False
    rows = f"{thousands(version.rows)} rows, {len(version.columns)} columns"
    here.app.tell(
        f"{version.ref}: {rows}" if created else f"{version.ref} has this very content already; nothing was added"
    )


def _name(file: str) -> str:
    name = Path(file).name
    for ending in (".gz", ".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".txt"):
        name = name.removesuffix(ending)
    return name


def _check(values: dict[str, str]) -> str:
    if not values["file"]:
        return "which file?"
    path = Path(values["file"]).expanduser()
    if not path.exists():
        meant = complete_file(values["file"])
        return f"{path}: no such file" + (f"; did you mean {meant}?" if meant else "")
    if path.is_dir():
        return f"{path} is a folder; which file in it?"
    return ""


def view_rows(here: Here) -> None:
    from console.tui.panes.datasets import DatasetsPane

    if isinstance(here.view, DatasetsPane):
        here.view.view_rows()
