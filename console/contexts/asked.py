"""Whether what a context names answers: its server or registry, its metrics store, its cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from backends.contract import BackendError
from backends.entities import LauncherRef, Record
from console.config import Context
from console.services.table import MetricsTable
from console.wording import duration


class Answer(Record, frozen=True, kw_only=True):
    """What one part of a context said."""

    part: str
    """`registry`, `metrics` or `launcher`."""
    where: str
    said: str = ""
    missing: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Capability → why it is not there."""


class Silent(Exception):
    """A part that does not answer, or refuses us: `error` says which, why, and what to do."""

    def __init__(self, part: str, error: BackendError) -> None:
        super().__init__(str(error))
        self.part = part
        self.error = error

    def told(self, instead: str) -> BackendError:
        """The same error, with what became of the context, and what one does instead."""
        what = {"metrics": "its metrics store: ", "launcher": "its launcher: "}.get(self.part, "")
        sentence = str(self.error).rstrip(". ")
        return type(self.error)(f"{what}{sentence}. The context was not added; {instead}.")


def ask_context(made: Context, *, ask: bool = True) -> Iterator[Answer]:
    """One question to each part, in turn, in a place that is thrown away; without `ask` each is opened alone.

    `Silent` for the first that does not answer; Invalid for an address or an option that cannot be meant.
    """
    if made.registry:
        yield _ask_registry(made, ask=ask)
    if made.metrics_table is not None:
        yield _ask_metrics(made.metrics_table, ask=ask)
    if made.launcher_ref is not None:
        yield _ask_launcher(made.launcher_ref, ask=ask)


def _ask_registry(made: Context, *, ask: bool) -> Answer:
    import tempfile

    from backends.connect import connect, server_of_runs

    with tempfile.TemporaryDirectory() as folder:
        backend = connect(made.name, made.url, sidecar=Path(folder), login=made.login, options=made.options)
        said = ""
        try:
            if ask:
                begun = time.perf_counter()
                # Of a registry alone the sidecar keeps the runs: that says nothing of the server.
                asked = "runs" if server_of_runs(Path(folder)) is not None else "registry"
                backend.need(asked).page(limit=1)
                said = f"answers in {duration(time.perf_counter() - begun)}"
            return Answer(part="registry", where=backend.url, said=said, missing=dict(backend.missing))
        except BackendError as error:
            raise Silent("registry", error) from error
        finally:
            backend.close()


def _ask_metrics(table: MetricsTable, *, ask: bool) -> Answer:
    from backends.connect import connect_metrics

    table.check()
    source = connect_metrics(table.url, login=table.login, options=table.options)
    said = ""
    try:
        if ask:
            info = source.info()
            said = f"answers, {info.product} {info.version}".strip(" ,")
        return Answer(part="metrics", where=source.where(), said=said)
    except BackendError as error:
        raise Silent("metrics", error) from error
    finally:
        source.close()


def _ask_launcher(ref: LauncherRef, *, ask: bool) -> Answer:
    from backends.launchers import open_engine
    from console.cluster import room_words

    engine = open_engine(ref)
    said = ""
    try:
        if ask:
            begun = time.perf_counter()
            answered = engine.probe()
            took = duration(time.perf_counter() - begun)
            room = engine.room()
            said = f"{answered}, answered in {took}{f'; {room_words(room)}' if room is not None else ''}"
        return Answer(part="launcher", where=ref.url, said=said)
    except BackendError as error:
        raise Silent("launcher", error) from error
    finally:
        engine.close()
