"""Bringing data in."""

from __future__ import annotations

import re
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from backends.contract import BackendError
from backends.entities import Dataset, DatasetVersion
from console.data.origin import Origin, check_no_secret, is_url, origin_name
from console.safe import safe_text
from console.tui.dialogs import Confirm, Field, Form, sentences
from console.tui.file_names import FileSuggester, complete_file, data_files
from console.tui.verbs.runs import dataset_names
from console.wording import thousands

if TYPE_CHECKING:
    from console.tui.here import Here

VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
DATABASES = re.compile(r"(sqlite|postgres(ql)?|mysql|mariadb|mssql|oracle|snowflake|duckdb|bigquery)(\+\w+)?:", re.I)


async def import_file(here: Here) -> None:
    """What a person names becomes the next version of a dataset. Read in a process of its own, with a progress line."""
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
        Field(
            "from",
            "from",
            file,
            "file, folder, 'pattern*', URL, s3://…, sqlite:///file, or $NAME of a variable that holds a URL",
            files,
            FileSuggester(),
        ),
        Field(
            "name",
            "dataset",
            inside or (origin_name(Origin(target=file)) if file else ""),
            "empty: the file's name",
            tuple(sorted(known, key=lambda each: (each != near, each))),
        ),
        Field("note", "note", ""),
        Field("sql", "query", "", "from a database: SELECT …; else empty"),
    ]
    values = await here.app.ask(Form("Import data as a dataset version", fields, "import", check=_check))
    if values is None:
        return
    from console.data.offloaded import import_offloaded

    origin = _origin(values)
    mutation = session.mutation(key=uuid.uuid4().hex)
    work = f"importing {origin.short}"
    progress = here.app.report(work, stop="import.stop")
    end = threading.Event()
    here.app.imports[work] = end
    try:
        done = await here.app.carry_out(
            lambda: import_offloaded(
                session.backend,
                origin,
                values["name"] or origin_name(origin),
                mutation,
                note=values["note"],
                on_progress=progress,
                cancel=end.is_set,
            )
        )
    finally:
        here.app.imports.pop(work, None)
        here.app.say_work(())
    here.app.welcome = False
    version = done.version
    rows = f"{thousands(version.rows)} rows, {len(version.columns)} columns"
    said = (
        f"{version.ref}: {rows}" if done.created else f"{version.ref} has this very content already; nothing was added"
    )
    noted = next((f"{column.name}: {column.note}" for column in version.columns if column.note), "")
    more = [*done.remarks[:2], noted] if done.created else []
    here.app.tell(". ".join(part for part in (said, *more) if part))


async def stop_import(here: Here) -> None:
    """End the latest import or transform that is under way."""
    name, end = next(reversed(here.app.imports.items()))
    yes = await here.app.ask(
        Confirm(
            f"Stop {safe_text(name, 50)}",
            sentences("What it has done so far is thrown away, and no version is made. It can be begun again."),
            "stop",
        )
    )
    if yes is not None:
        end.set()


def _origin(values: dict[str, str]) -> Origin:
    variable = VARIABLE.fullmatch(values["from"])
    if variable:
        return Origin(env=variable[1], sql=values["sql"])
    return Origin(target=values["from"], sql=values["sql"])


def _check(values: dict[str, str]) -> str:
    if not values["from"]:
        return "from where?"
    origin = _origin(values)
    try:
        check_no_secret(origin.target)
        place = origin.place
    except BackendError as error:
        return str(error).replace("--from-env NAME", "$NAME")
    if not values["name"] and not origin_name(origin):
        return "which dataset? Nothing here says a name"
    if DATABASES.match(place) and not origin.sql:
        return "this is a database: write the query that is to be imported, SELECT …"
    if origin.sql and not is_url(place):
        return f"a query wants a database's URL, such as sqlite:///{values['from']}"
    if is_url(place) or any(letter in place for letter in "*?["):
        return ""
    path = Path(place).expanduser()
    if not path.exists():
        meant = complete_file(values["from"])
        return f"{path}: no such file" + (f"; did you mean {meant}?" if meant else "")
    return ""


def view_rows(here: Here) -> None:
    from console.tui.panes.datasets import DatasetsPane

    if isinstance(here.view, DatasetsPane):
        here.view.view_rows()


async def go_to_row(here: Here) -> None:
    from console.tui.dialogs import Ask
    from console.tui.panes.datasets import DatasetsPane

    if not isinstance(here.view, DatasetsPane) or here.view.version is None:
        return
    total = here.view.version.rows

    def check(text: str) -> str:
        number = _row_number(text)
        return "" if number is not None and 1 <= number <= total else f"a number from 1 to {thousands(total)} is wanted"

    text = here.argument or await here.app.ask(Ask("Go to a row", "row", check=check))
    if not text:
        return
    wrong = check(text)
    if wrong:
        here.app.tell(wrong, severity="warning")
        return
    here.view.table.go_to(str((_row_number(text) or 1) - 1))


def _row_number(text: str) -> int | None:
    digits = re.sub(r"[\s,._\u2009]", "", text)
    return int(digits) if digits.isdecimal() and len(digits) < 19 else None


def next_hit(here: Here) -> None:
    from console.tui.panes.datasets import DatasetsPane

    if isinstance(here.view, DatasetsPane):
        if here.argument:
            here.view.search.begin(here.argument)
        here.view.search.go(1)


def previous_hit(here: Here) -> None:
    from console.tui.panes.datasets import DatasetsPane

    if isinstance(here.view, DatasetsPane):
        here.view.search.go(-1)


async def compare_versions(here: Here) -> None:
    """The older of the two marked versions is what the other one is held against."""
    from console.data.offloaded import diff_offloaded
    from console.offload import Cancelled
    from console.tui.diff_screen import DiffScreen

    old, new = sorted(
        (row for row in here.marked if isinstance(row, DatasetVersion)), key=lambda version: version.created_at
    )
    progress = here.app.report(f"comparing {safe_text(old.ref, 24)} and {safe_text(new.ref, 24)}")
    gone = threading.Event()
    try:
        found = await here.app.look_up(
            lambda: diff_offloaded(here.backend, old.ref, new.ref, on_progress=progress, cancel=gone.is_set)
        )
    except Cancelled:
        return
    finally:
        gone.set()
        here.app.say_work(())
    here.app.push_screen(DiffScreen(found))
