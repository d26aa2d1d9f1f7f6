"""The labelled rows of a monitor: what the folders that feed it keep, each row with the label that came for it.

A label may have come in the row, in a file beside it, by a pipe or over HTTP. What the monitor counted says which one
stands. Only a worker process comes here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from backends.contract import Backend, BackendError, Invalid, NotFound
from backends.entities import Column, Monitor
from console.monitoring.counted.columns import as_text
from console.monitoring.counted.profile import Profile
from console.monitoring.feeds.batch import fit_columns, read_rows
from console.monitoring.feeds.growing import KIND
from console.monitoring.feeds.labels import is_label_file
from console.monitoring.feeds.scored import read_pending, targets_of
from console.monitoring.feeds.sources import keeping_folders_of
from console.monitoring.feeds.table_file import SUFFIXES
from console.monitoring.folder import locked, monitor_folder
from console.monitoring.reference import read_profile

FEWEST: Final = 50
"""Labelled rows: on fewer nothing is learned that a gate could tell from chance."""

Labels = dict[str, str]
"""id → label as text."""


def labelled_rows(backend: Backend, monitor: Monitor, features: Sequence[Column], also: Sequence[str]) -> pd.DataFrame:
    """Those that have a label, as they came, the label in the monitor's label column. `also`: columns that are kept
    besides the features, where a row has them.

    Invalid where there are too few, with what was left out and why.
    """
    parts, given, left_out = _read(backend, monitor, features, also)
    odd = f" {len(left_out)} files were left out, the first: {left_out[0]}" if left_out else ""
    if not parts:
        where = " and ".join(str(folder) for folder in keeping_folders_of(backend, monitor)) or "nowhere"
        raise Invalid(
            f"monitor {monitor.name} keeps no rows with all columns of {monitor.model} (in {where}); nothing to train "
            f"on.{odd}",
            "rows",
        )
    rows = pd.concat(parts, ignore_index=True)
    label = monitor.label_column
    own = rows[label].astype("object") if label in rows.columns else pd.Series(None, index=rows.index, dtype="object")
    if monitor.id_column and monitor.id_column in rows.columns:
        named = given | _counted(backend, monitor)
        late = rows[monitor.id_column].map(named)
        rows[label] = late.where(late.notna(), own)
        rows = rows.drop_duplicates(monitor.id_column, keep="last")
    else:
        rows[label] = own
    found: pd.DataFrame = rows[rows[label].notna()]
    if len(found) < FEWEST:
        raise Invalid(
            f"{len(found)} of {len(rows)} rows of monitor {monitor.name} have a label, and {FEWEST} are wanted to "
            f"train on; labels may still come.{odd}",
            "rows",
        )
    return found


def _read(
    backend: Backend, monitor: Monitor, features: Sequence[Column], also: Sequence[str]
) -> tuple[list[pd.DataFrame], Labels, list[str]]:
    """The rows by file, the labels of files that hold nothing else, and which files do not serve, and why."""
    parts: list[pd.DataFrame] = []
    labels: Labels = {}
    left_out: list[str] = []
    names = [column.name for column in features]
    kept = [each for each in (monitor.id_column, monitor.label_column, monitor.time_column, *also) if each]
    with tempfile.TemporaryDirectory(prefix="rows") as spool:
        for path, readable in _files(backend, monitor, Path(spool)):
            try:
                frame, _ = read_rows(readable, title=path.name, salvage=True)
            except (Invalid, NotFound) as error:  # the monitor steps over it too
                left_out.append(str(error))
                continue
            if is_label_file(frame, monitor, names):
                labels |= _by_id(frame[monitor.id_column], frame[monitor.label_column])
                continue
            typed, events = fit_columns(frame, features, path.name, known=kept)
            blocking = next((event for event in events if event.blocks), None)
            if blocking is not None:
                why = " (it is redacted, so nobody keeps it)" if blocking.column in monitor.redact else ""
                left_out.append(f"column {blocking.column!r} is {blocking.kind} in {path.name}{why}.")
                continue
            for name in kept:
                if name in frame.columns and name not in typed.columns:
                    own = name in (monitor.id_column, monitor.label_column)
                    typed[name] = _text(frame[name]) if own else frame[name].to_numpy()
            parts.append(typed)
    return parts, labels, left_out


def _files(backend: Backend, monitor: Monitor, spool: Path) -> Iterator[tuple[Path, Path]]:
    """Every file that a scorer would take, oldest name first, and under which name its kind can be told: rotation puts
    a number behind it."""
    for folder in keeping_folders_of(backend, monitor):
        try:
            paths = sorted(folder.iterdir(), key=lambda path: path.name)
        except OSError as error:
            raise Invalid(
                f"the folder {folder} cannot be read: {error.strerror}; nothing to train on.", "rows"
            ) from None
        for at, path in enumerate(paths):
            if path.name.startswith(".") or not path.is_file():
                continue
            if path.name.lower().endswith(SUFFIXES):
                yield path, path
            elif (found := KIND.search(path.name)) is not None:
                alias = spool / f"{folder.name}-{at}.{found[1].lower()}{found[4] or ''}"
                alias.symlink_to(path.absolute())
                yield path, alias


def _counted(backend: Backend, monitor: Monitor) -> Labels:
    """The labels as the monitor counted them, corrections included, and those that wait for their row."""
    folder = monitor_folder(backend, monitor.name)
    pending = read_pending(folder)
    labels = _by_id(pending["id"], pending["label"])
    try:
        rows = targets_of(folder)
    except FileNotFoundError:  # some were merged into one meanwhile
        with locked(folder):
            rows = targets_of(folder)
    profiles: dict[str, Profile | None] = {}
    plain = [pd.Series(dtype="object")]
    for version, part in rows.groupby("version"):
        profile = _profile(backend, monitor, str(version), profiles)
        if profile is not None:
            plain.append(part["target"].map(lambda value, of=profile: _plain(value, of)).astype("object"))
    named = pd.concat(plain).sort_index()  # as they were written: the last one stands
    return labels | _by_id(rows["id"].reindex(named.index), named)


def _profile(backend: Backend, monitor: Monitor, version: str, known: dict[str, Profile | None]) -> Profile | None:
    if version not in known:
        try:
            known[version] = read_profile(backend, backend.need("registry").version(monitor.model, version))
        except BackendError:  # it is deleted: what its numbers mean, nobody knows
            known[version] = None
    return known[version]


def _plain(target: float, profile: Profile) -> str | None:
    """A label as it was written, of the number that it is counted under (see `counting.encode_labels`)."""
    if profile.task == "regression":
        return str(int(target)) if target == int(target) else repr(float(target))
    if profile.task == "binary":
        if target == 1:
            return profile.positive
        others = [name for name in profile.classes if name != profile.positive]
        return others[0] if len(others) == 1 else None
    return profile.classes[int(target)] if 0 <= target < len(profile.classes) else None


def _by_id(ids: pd.Series[Any], labels: pd.Series[Any]) -> Labels:
    pairs = zip(_text(ids), _text(labels), strict=True)
    return {name: label for name, label in pairs if isinstance(name, str) and isinstance(label, str)}


def _text(values: pd.Series[Any]) -> Any:
    """As the monitor writes ids and labels: `3` and not `3.0`."""
    return as_text(values).to_pandas().astype("object").to_numpy()
