"""Making versions of a version by a recipe of steps."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from backends.entities import Dataset, DatasetVersion
from console.data.transform.job import TransformJob, preview_offloaded, transform_offloaded
from console.safe import safe_text
from console.tui.dialogs import NARROW, Confirm, Field, Form
from console.tui.transform_lines import preview_lines, summary_lines
from console.wording import plural

if TYPE_CHECKING:
    from backends.contract import Backend
    from console.tui.here import Here

SHOWN = 8
"""Rows of each part in a preview."""
LOOKED_AT = 200
"""TOML files of a folder that are looked into for steps."""


async def transform(here: Here) -> None:
    """Choose a recipe, look at what it does to a sample, then do it in a process of its own."""
    assert here.session is not None  # noqa: S101 the action needs a dataset store
    session, chosen = here.session, here.selected
    ref = f"{chosen.name}@{chosen.latest}" if isinstance(chosen, Dataset) else ""
    ref = chosen.ref if isinstance(chosen, DatasetVersion) else ref
    choices = await here.app.look_up(lambda: (*recipe_files(), *fitted(session.backend)))
    fields = [
        Field("recipe", "recipe", here.argument, "a TOML file to fit, or a fitted transform NAME@VERSION", choices),
        Field("name", "new dataset", "", "empty: the dataset's name with the recipe's; parts of a split NAME-part"),
    ]
    values = await here.app.ask(Form(f"Transform {safe_text(ref, 40)}", fields, "preview", check=_check))
    if values is None:
        return
    recipe = values["recipe"]
    path = Path(recipe).expanduser()
    job = TransformJob(ref=ref, name=values["name"], file=str(path.absolute()) if path.exists() else "")
    if not job.file:
        job = msgspec.structs.replace(job, use=recipe)
    here.app.say_work([(f" looking at a sample of {safe_text(ref, 40)} …", "dim")])
    try:
        found = await here.app.look_up(
            lambda: preview_offloaded(session.backend, msgspec.structs.replace(job, preview=SHOWN))
        )
    finally:
        here.app.say_work(())
    yes = await here.app.ask(
        Confirm(
            f"Transform {safe_text(ref, 30)} by {safe_text(found.name, 24)}",
            summary_lines(found, NARROW),
            "transform",
            reason=True,
            more=preview_lines(found),
        )
    )
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    work = f"transforming {ref}"
    progress = here.app.report(work, stop="import.stop")
    end = threading.Event()
    here.app.imports[work] = end
    try:
        made = await here.app.carry_out(
            lambda: transform_offloaded(session.backend, job, mutation, on_progress=progress, cancel=end.is_set)
        )
    finally:
        here.app.imports.pop(work, None)
        here.app.say_work(())
    parts = [
        f"{part.version.ref}: {plural(part.version.rows, 'row')}" + ("" if part.created else ", there already")
        for part in made.parts
    ]
    here.app.tell("; ".join([*parts, *made.notes[:2]]))


def recipe_files(folder: str = ".") -> tuple[str, ...]:
    """TOML files here that have steps, by name."""
    found = []
    try:
        for path in sorted(Path(folder).glob("*.toml"))[:LOOKED_AT]:
            with path.open("rb") as file:
                if b"[[step]]" in file.read(1 << 16):
                    found.append(path.name)
    except OSError:
        return tuple(found)
    return tuple(found)


def fitted(backend: Backend) -> tuple[str, ...]:
    """The latest version of each fitted transform."""
    if backend.definitions is None:
        return ()
    return tuple(each.ref for each in backend.definitions.page("transform").items)


def _check(values: dict[str, str]) -> str:
    if not values["recipe"]:
        return "by which recipe?"
    path = Path(values["recipe"]).expanduser()
    if path.is_dir():
        return f"{path} is a folder; which file in it?"
    if not path.exists() and ("/" in values["recipe"] or path.suffix == ".toml"):
        return f"{path}: no such file"
    return ""
