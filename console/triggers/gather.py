"""Fresh rows to train on: what a monitor's folders hold, with the labels that came later, as a version of a dataset.

`python -m console.triggers.gather URL OUT` takes its wish from the environment and writes one CSV file: pandas and
the folder's files stay out of the agent.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Backend, Invalid, Mutation, Refused
from backends.entities import DatasetVersion, Monitor, Record, Trigger
from console.offload import run_offloaded
from console.triggers.definition import data_of

MODULE: Final = "console.triggers.gather"
WISH: Final = "MLOPS_CONSOLE_GATHER"
MOST: Final = 5_000_000


class Wish(Record, frozen=True, kw_only=True):
    """Whose rows, and which columns of them."""

    monitor: str
    target: str
    also: tuple[str, ...] = ()
    """Columns besides the model's own that the recipe splits or orders by."""
    unused: tuple[str, ...] = ()
    """Columns that the recipe leaves aside by name: they are there, empty if no row has them."""


def gather_offloaded(backend: Backend, trigger: Trigger, firing: str, mutation: Mutation) -> DatasetVersion:
    """The new version. Under the same key, the one that the first call made.

    Refused where the monitor has no folder, or too few of its rows have a label.
    """
    from backends.connect import place_of
    from console.data.offloaded import import_offloaded
    from console.data.origin import Origin

    monitor: Monitor = backend.need("monitors").get(trigger.do.rows_of)
    check_keeps_rows(monitor)
    if backend.home is None:
        raise Refused(f"context {backend.name} has no workspace folder, where the rows could be put together.")
    folder = backend.home / "triggers" / firing
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    out = folder / f"{trigger.do.rows_of}-labelled.csv"
    wish = _wish(trigger)
    try:
        if not out.is_file():  # it is renamed into place when it is whole
            run_offloaded(MODULE, [place_of(backend), "--", str(out)], env={WISH: msgspec.json.encode(wish).decode()})
        made = import_offloaded(backend, Origin(target=str(out)), data_of(trigger.do), mutation)
    except Invalid as error:
        raise Refused(str(error)) from error
    out.unlink(missing_ok=True)
    for left in (folder, folder.parent):
        if not any(left.iterdir()):
            left.rmdir()
    return made.version


def _wish(trigger: Trigger) -> Wish:
    from console.training.command_recipe import is_command
    from console.training.recipe import parse_recipe

    text = trigger.do.retrain
    if is_command(text):
        return Wish(monitor=trigger.do.rows_of, target="")
    recipe = parse_recipe(text)
    return Wish(monitor=trigger.do.rows_of, target=recipe.target, also=recipe.aside, unused=recipe.exclude)


def check_keeps_rows(monitor: Monitor) -> None:
    """Refused where its rows are not kept, or no label can be put to them."""
    if monitor.source or monitor.deployment:
        if monitor.label_column:
            return
        lacks, wanted = "has no label column", "make a monitor that has one (--label)"
    else:
        lacks = "is handed its rows, which are counted and not kept"
        wanted = "make a monitor that watches a folder or a deployment's log (--source, --deployment)"
    raise Refused(
        f"monitor {monitor.name} {lacks}, so there are no labelled rows of it to train on. Train on a dataset instead "
        f"(data = …), or {wanted}."
    )


# ---------------------------------------------------------------- the other process


def main(argv: list[str]) -> int:
    from console.speaker import Speaker, speak_of

    parser = argparse.ArgumentParser(prog=MODULE)
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    asked = parser.parse_args(argv)
    wish = msgspec.json.decode(os.environ.pop(WISH), type=Wish)

    def work(backend: Backend, _speaker: Speaker) -> int:
        return gather(backend, wish, asked.out)

    return speak_of(asked.url, work)


def gather(backend: Backend, wish: Wish, out: Path) -> int:
    """Write the labelled rows to `out`, whole or not at all; how many they are."""
    from console.triggers.labelled import labelled_rows

    monitor: Monitor = backend.need("monitors").get(wish.monitor)
    version = backend.need("registry").version(monitor.model, f"@{monitor.alias}")
    features = version.signature.inputs
    rows = labelled_rows(backend, monitor, features, (*wish.also, *wish.unused))
    # A recipe that excludes a column which is not there is refused as a slip of the pen; callers rarely send those.
    for name in wish.unused:
        if name not in rows.columns:
            rows[name] = None
    target = wish.target or monitor.label_column
    if target != monitor.label_column:
        rows = rows.drop(columns=[target], errors="ignore").rename(columns={monitor.label_column: target})
    names = [column.name for column in features]
    beside = [each for each in (*wish.also, *wish.unused) if each in rows.columns and each != target]
    kept = list(dict.fromkeys([*names, *beside, target]))
    fresh = out.with_suffix(".part")
    rows[kept].tail(MOST).to_csv(fresh, index=False)
    fresh.replace(out)
    return len(rows)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
