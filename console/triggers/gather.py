"""Fresh rows to train on: what a monitor's folder holds, with the labels that came later, as a version of a dataset.

`python -m console.triggers.gather URL OUT` takes its wish from the environment and writes one CSV file: pandas and
the folder's files stay out of the agent.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from backends.contract import Backend, Invalid, Mutation, NotFound, Refused
from backends.entities import Column, DatasetVersion, Monitor, Record, Trigger
from console.offload import run_offloaded
from console.triggers.definition import data_of

if TYPE_CHECKING:
    import pandas as pd

MODULE: Final = "console.triggers.gather"
WISH: Final = "MLOPS_CONSOLE_GATHER"
FEWEST: Final = 50
"""Labelled rows: on fewer nothing is learned that a gate could tell from chance."""
MOST: Final = 5_000_000


class Wish(Record, frozen=True, kw_only=True):
    """Whose rows, and which columns of them."""

    monitor: str
    target: str
    also: tuple[str, ...] = ()
    """Columns besides the model's own that the recipe splits or orders by."""


def gather_offloaded(backend: Backend, trigger: Trigger, firing: str, mutation: Mutation) -> DatasetVersion:
    """The new version. Under the same key, the one that the first call made.

    Refused where the monitor has no folder, or too few of its rows have a label.
    """
    from backends.connect import place_of
    from console.data.offloaded import import_offloaded
    from console.data.origin import Origin

    monitor: Monitor = backend.need("monitors").get(trigger.do.rows_of)
    _watched(monitor)
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
    return Wish(monitor=trigger.do.rows_of, target=recipe.target, also=recipe.aside)


def _watched(monitor: Monitor) -> None:
    if not (monitor.source and monitor.id_column and monitor.label_column):
        lacks = "watches no folder" if not monitor.source else "has no id column and label column"
        raise Refused(
            f"monitor {monitor.name} {lacks}, so its labelled rows cannot be put together. Train on a dataset instead "
            "(data = …), or make a monitor with --source, --id and --label."
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
    import pandas as pd

    monitor: Monitor = backend.need("monitors").get(wish.monitor)
    version = backend.need("registry").version(monitor.model, f"@{monitor.alias}")
    features = version.signature.inputs
    rows, labels = _read(monitor, features, wish)
    if not rows:
        raise Invalid(f"{monitor.source} holds no rows with the columns of {version.ref}; nothing to train on.", "rows")
    whole = pd.concat(rows, ignore_index=True)
    if monitor.id_column in whole.columns:
        whole = whole.drop_duplicates(monitor.id_column, keep="last")
    target = wish.target or monitor.label_column
    if labels:
        late = pd.concat(labels, ignore_index=True).drop_duplicates(monitor.id_column, keep="last")
        known = late.set_index(monitor.id_column)[monitor.label_column]
        found = whole[monitor.id_column].map(known)
        own = whole[monitor.label_column] if monitor.label_column in whole.columns else None
        whole[monitor.label_column] = found if own is None else found.where(found.notna(), own)
    named = monitor.label_column in whole.columns
    whole = whole[whole[monitor.label_column].notna()] if named else whole.iloc[:0]
    if len(whole) < FEWEST:
        raise Invalid(
            f"{len(whole)} rows of monitor {monitor.name} have a label, and {FEWEST} are wanted to train on; labels "
            "may still come.",
            "rows",
        )
    if target != monitor.label_column:
        whole = whole.rename(columns={monitor.label_column: target})
    names = [column.name for column in features]
    kept = list(dict.fromkeys([*names, *(each for each in wish.also if each in whole.columns), target]))
    fresh = out.with_suffix(".part")
    whole[kept].tail(MOST).to_csv(fresh, index=False)
    fresh.replace(out)
    return len(whole)


def _read(monitor: Monitor, features: Iterable[Column], wish: Wish) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """The files of rows, and those of labels alone. One that cannot be read is stepped over, as the monitor does."""
    from console.monitoring.feeds.batch import fit_columns, read_batch
    from console.monitoring.feeds.table_file import SUFFIXES

    wanted = tuple(features)
    rows: list[Any] = []
    labels: list[Any] = []
    also = (monitor.id_column, monitor.label_column, monitor.time_column, *wish.also)
    for path in sorted(Path(monitor.source).rglob("*"), key=lambda path: str(path)):
        if not path.name.lower().endswith(SUFFIXES) or path.name.startswith("."):
            continue
        try:
            frame = read_batch(path)
        except (Invalid, NotFound):
            continue
        if {monitor.id_column, monitor.label_column} <= set(frame.columns) and not (
            {column.name for column in wanted} & set(frame.columns)
        ):
            part = frame[[monitor.id_column, monitor.label_column]].dropna()
            labels.append(part.assign(**{monitor.id_column: part[monitor.id_column].astype("str")}))
            continue
        typed, events = fit_columns(frame, wanted, path.name, known=also)
        if any(event.blocks for event in events):
            continue
        for name in also:
            if name and name in frame.columns and name not in typed.columns:
                typed[name] = frame[name].to_numpy()
        if monitor.id_column in typed.columns:
            typed[monitor.id_column] = typed[monitor.id_column].astype("str")
        rows.append(typed)
    return rows, labels


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
