"""Runs: the verbs of `RunStore` over the tables of runs, parameters, tags and metrics."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from backends import system_metrics
from backends.contract import START, Conflict, Count, Invalid, Mutation, Page, Refused
from backends.entities import (
    DatasetInput,
    Experiment,
    MetricPoint,
    MetricSeries,
    Millis,
    Progress,
    Run,
    RunStatus,
    Source,
)
from backends.local import experiments, idempotency, journal, metrics, run_rows
from backends.local.database import Database, now
from backends.local.limits import check_name, check_pairs, check_text
from backends.local.run_pages import RunList
from backends.query import Query
from backends.query_values import number_of

_SEQS: Final = 4096
"""How many run ids are remembered with their seq: a run that logs asks for it at every batch."""


class LocalRuns:
    """`RunStore` in the workspace's database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seqs: dict[str, int] = {}

    # ------------------------------------------------------------ reading

    def page(
        self,
        query: Query | None = None,
        *,
        at: str = START,
        limit: int = 100,
        columns: Sequence[str] | None = None,
        deleted: bool = False,
    ) -> Page[Run]:
        """Without an order: newest first. With `deleted`, the deleted ones only; a filter on it says which itself."""
        with self._database.read() as connection:
            cut = RunList(connection, query, deleted=deleted).page(at, limit)
            return Page(
                items=run_rows.gather(connection, cut.seqs, columns),
                next=cut.next,
                previous=cut.previous,
                first=cut.first,
                total=cut.total,
            )

    def count(self, query: Query | None = None, *, limit: int = 10_000, deleted: bool = False) -> Count:
        with self._database.read() as connection:
            return RunList(connection, query, deleted=deleted).count(limit)

    def get(self, run: str) -> Run:
        with self._database.read() as connection:
            return self._one(connection, run_rows.find(connection, run)[0])

    def latest(self, run: str) -> tuple[MetricPoint, ...]:
        with self._database.read() as connection:
            return metrics.latest(connection, run_rows.find(connection, run)[0])

    def points(self, run: str, key: str, *, at: str = START, limit: int = 25_000) -> Page[MetricPoint]:
        """A cursor is the number of points before the page."""
        with self._database.read() as connection:
            found = metrics.every_point(connection, run_rows.find(connection, run)[0], key)
        first = _offset(at)
        part = found.part(first, first + limit)
        return Page(
            items=tuple(
                MetricPoint(key=key, value=value, step=step, at=moment)
                for step, moment, value in zip(part.steps, part.times, part.values, strict=True)
            ),
            next=str(first + limit) if first + limit < found.size else None,
            previous=str(max(0, first - limit)) if first > 0 else None,
            first=first,
            total=found.size,
        )

    def keys(self, scope: str, *, prefix: str = "", limit: int = 200) -> tuple[str, ...]:
        if scope not in ("metrics", "params", "tags"):
            raise Invalid(f"keys are of metrics, params or tags, not {scope!r}.", "scope")
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT name FROM keys WHERE scope = ?1 AND runs > 0 AND name >= ?2 AND name < ?3 "
                "ORDER BY instr(name, ?4) = 1, runs DESC, name LIMIT ?5",
                (scope, prefix, prefix + "\U0010ffff", system_metrics.SYSTEM, limit),
            )
            return tuple(name for (name,) in rows)

    def experiments(self) -> tuple[Experiment, ...]:
        """By name."""
        with self._database.read() as connection:
            rows = connection.execute(f"{experiments.SELECT} WHERE e.deleted_at IS NULL ORDER BY e.name")
            return tuple(map(experiments.record, rows))

    def series(
        self, run: str, key: str, *, buckets: int = 400, first_step: int | None = None, last_step: int | None = None
    ) -> MetricSeries:
        """NaN points are buckets of their own. A metric that was never logged has none."""
        with self._database.read() as connection:
            seq, name = run_rows.find(connection, run)
            return metrics.series(
                connection, seq, name, key, most=max(2, buckets), first_step=first_step, last_step=last_step
            )

    # ------------------------------------------------------------ life

    def create(
        self,
        *,
        name: str,
        mutation: Mutation,
        experiment: str = "default",
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        inputs: Sequence[DatasetInput] = (),
        source: Source | None = None,
        parent: str = "",
        engine: str = "local",
        id: str = "",  # noqa: A002
    ) -> Run:
        """A new queued run. The experiment is made if it is not there."""
        check_name("run", name)
        check_name("experiment", experiment, "experiment")
        check_pairs("parameter", params or {}, "params")
        check_pairs("tag", tags or {}, "tags")
        run, at = id or uuid.uuid4().hex, now()
        with self._database.write(durable=True) as connection:
            made = idempotency.made_before(connection, "run.create", mutation)
            if made is not None:
                return self._one(connection, run_rows.find(connection, made)[0])
            if connection.execute("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone():
                raise Conflict(f"run {run} is there already; nothing was changed. Leave the id to the store.")
            experiments.ensure(connection, experiment, at)
            seq = connection.execute(
                "INSERT INTO runs (id, name, experiment, status, created_at, created_by, parent, engine, source) "
                "VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
                (run, name, experiment, at, mutation.actor, parent, engine, _source(source)),
            ).lastrowid
            assert seq is not None  # noqa: S101
            _add_pairs(connection, "params", seq, params or {})
            _add_pairs(connection, "tags", seq, tags or {})
            _add_inputs(connection, seq, inputs)
            run_rows.write_text(connection, seq)
            journal.append(
                connection, "run.create", run, mutation, after={"name": name, "experiment": experiment}, at=at
            )
            idempotency.note(connection, "run.create", mutation, run)
            return self._one(connection, seq)

    def start(self, run: str, *, at: Millis | None = None) -> Run:
        """queued → running. Any other state is a Conflict."""
        with self._database.write() as connection:
            seq, name = run_rows.find(connection, run)
            status = _status(connection, seq)
            if status is not RunStatus.QUEUED:
                raise Conflict(f"run {name} is {status}, only a queued one can start; nothing was changed.")
            connection.execute(
                "UPDATE runs SET status = 'running', started_at = ? WHERE seq = ?", (now() if at is None else at, seq)
            )
            return self._one(connection, seq)

    def mark_stopping(self, run: str) -> Run:
        """Asked to stop, not yet ended."""
        with self._database.write() as connection:
            seq, name = run_rows.find(connection, run)
            status = _status(connection, seq)
            if status.ended:
                raise Conflict(f"run {name} is {status} already, there is nothing to stop; nothing was changed.")
            if status is not RunStatus.STOPPING:
                connection.execute("UPDATE runs SET status = 'stopping' WHERE seq = ?", (seq,))
            return self._one(connection, seq)

    def end(
        self, run: str, status: RunStatus, *, exit_code: int | None = None, reason: str = "", at: Millis | None = None
    ) -> Run:
        """To a final state, once. A second end is a Conflict unless it says the same."""
        if not status.ended:
            raise Invalid(f"a run cannot end as {status}; nothing was changed.", "status")
        check_text("a reason", reason, "reason")
        with self._database.write(durable=True) as connection:
            seq, name = run_rows.find(connection, run)
            before = _status(connection, seq)
            if before is status:
                return self._one(connection, seq)
            if before.ended:
                raise Conflict(f"run {name} has ended as {before} and cannot end as {status}; nothing was changed.")
            connection.execute(
                "UPDATE runs SET status = ?, ended_at = ?, exit_code = ?, reason = ? WHERE seq = ?",
                (status.value, now() if at is None else at, exit_code, reason, seq),
            )
            return self._one(connection, seq)

    def reopen(self, run: str) -> Run:
        """running again; of a run that has not ended, what `start` does or nothing."""
        with self._database.write(durable=True) as connection:
            seq, _ = run_rows.find(connection, run)
            status = _status(connection, seq)
            if status.ended or status is RunStatus.QUEUED:
                connection.execute(
                    "UPDATE runs SET status = 'running', started_at = coalesce(started_at, ?), ended_at = NULL, "
                    "exit_code = NULL, reason = '' WHERE seq = ?",
                    (now(), seq),
                )
                run_rows.write_heard(connection, seq, now())
            return self._one(connection, seq)

    # ------------------------------------------------------------ what a run says

    def log_points(self, run: str, points: Sequence[MetricPoint]) -> None:
        """Append to the course of metrics; steps may come in any order. NaN and infinities are kept."""
        if not points:
            return
        keys = {point.key for point in points}
        for key in keys:
            check_name("metric", key, "key")
        with self._database.write() as connection:
            try:
                seq = self._seq(connection, run)
                metrics.append(connection, seq, points)
            except OverflowError:
                raise Invalid("a step or time is beyond 64 bits; nothing was logged.", "step") from None
            if not all(map(system_metrics.is_system, keys)):
                run_rows.write_heard(connection, seq, now())

    def log_params(self, run: str, params: dict[str, str]) -> None:
        """Add parameters. A parameter cannot change: a different value is Invalid."""
        check_pairs("parameter", params, "params")
        with self._database.write() as connection:
            seq = self._seq(connection, run)
            known = _pairs(connection, "params", seq)
            for key, value in params.items():
                if known.get(key, value) != value:
                    raise Invalid(
                        f"parameter {key} of run {run} is {known[key]} and cannot become {value}; nothing was changed. "
                        "Start another run, or log it under another name.",
                        f"params.{key}",
                    )
            _add_pairs(connection, "params", seq, {key: value for key, value in params.items() if key not in known})
            run_rows.write_text(connection, seq)
            run_rows.write_heard(connection, seq, now())

    def set_source(self, run: str, source: Source) -> None:
        with self._database.write() as connection:
            connection.execute(
                "UPDATE runs SET source = ? WHERE seq = ?", (_source(source), self._seq(connection, run))
            )

    def set_parent(self, run: str, parent: str) -> None:
        with self._database.write() as connection:
            connection.execute("UPDATE runs SET parent = ? WHERE seq = ?", (parent, self._seq(connection, run)))

    def set_progress(self, run: str, progress: Progress) -> None:
        with self._database.write() as connection:
            seq = self._seq(connection, run)
            connection.execute(
                "UPDATE runs SET progress = ? WHERE seq = ?", (msgspec.json.encode(progress).decode(), seq)
            )
            run_rows.write_heard(connection, seq, now())

    def hear(self, run: str, at: Millis) -> None:
        with self._database.write() as connection:
            run_rows.write_heard(connection, self._seq(connection, run), at)

    def add_inputs(self, run: str, inputs: Sequence[DatasetInput]) -> None:
        with self._database.write() as connection:
            _add_inputs(connection, self._seq(connection, run), inputs)

    # ------------------------------------------------------------ what people say of a run

    def set_tags(self, run: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        """None removes a tag."""
        check_pairs("tag", tags, "tags")
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "run.tag", mutation) is not None:
                return
            seq, name = run_rows.find(connection, run)
            known = _pairs(connection, "tags", seq)
            changed = {key: value for key, value in tags.items() if known.get(key) != value}
            for key in changed:
                connection.execute("DELETE FROM tags WHERE run = ? AND key = ?", (seq, key))
            _add_pairs(connection, "tags", seq, {key: value for key, value in changed.items() if value is not None})
            if changed:
                run_rows.write_text(connection, seq)
                before = {key: known.get(key) for key in changed}
                journal.append(connection, "run.tag", name, mutation, before={"tags": before}, after={"tags": changed})
            idempotency.note(connection, "run.tag", mutation)

    def rename(self, run: str, name: str, mutation: Mutation) -> None:
        check_name("run", name)
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "run.rename", mutation) is not None:
                return
            seq, whole = run_rows.find(connection, run)
            (before,) = connection.execute("SELECT name FROM runs WHERE seq = ?", (seq,)).fetchone()
            if before != name:
                connection.execute("UPDATE runs SET name = ? WHERE seq = ?", (name, seq))
                run_rows.write_text(connection, seq)
                journal.append(connection, "run.rename", whole, mutation, before={"name": before}, after={"name": name})
            idempotency.note(connection, "run.rename", mutation)

    def set_note(self, run: str, note: str, mutation: Mutation) -> None:
        check_text("a note", note, "note")
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "run.note", mutation) is not None:
                return
            seq, name = run_rows.find(connection, run)
            (before,) = connection.execute("SELECT note FROM runs WHERE seq = ?", (seq,)).fetchone()
            if before != note:
                connection.execute("UPDATE runs SET note = ? WHERE seq = ?", (note, seq))
                run_rows.write_text(connection, seq)
                journal.append(connection, "run.note", name, mutation, before={"note": before}, after={"note": note})
            idempotency.note(connection, "run.note", mutation)

    def delete(self, run: str, mutation: Mutation, *, unended: bool = False) -> None:
        """Out of sight; `restore` brings it back."""
        self._hide(run, mutation, verb="run.delete", deleted_at=now(), unended=unended)

    def restore(self, run: str, mutation: Mutation) -> None:
        self._hide(run, mutation, verb="run.restore", deleted_at=None)

    def _hide(
        self, run: str, mutation: Mutation, *, verb: str, deleted_at: Millis | None, unended: bool = False
    ) -> None:
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, verb, mutation) is not None:
                return
            seq, name = run_rows.find(connection, run)
            before, status = connection.execute("SELECT deleted_at, status FROM runs WHERE seq = ?", (seq,)).fetchone()
            if deleted_at is not None and not unended and not RunStatus(status).ended:
                raise Refused(f"run {name} is {status} and cannot be deleted; nothing was changed. Stop it first.")
            if (before is None) != (deleted_at is None):
                connection.execute("UPDATE runs SET deleted_at = ? WHERE seq = ?", (deleted_at, seq))
                journal.append(
                    connection, verb, name, mutation, before={"deleted_at": before}, after={"deleted_at": deleted_at}
                )
            idempotency.note(connection, verb, mutation)

    # ------------------------------------------------------------ rows

    def _one(self, connection: sqlite3.Connection, seq: int) -> Run:
        return run_rows.detailed(connection, run_rows.gather(connection, (seq,))[0])

    def _seq(self, connection: sqlite3.Connection, run: str) -> int:
        seq = self._seqs.get(run)
        # A run may be purged meanwhile, and its seq then be another's.
        if seq is None or connection.execute("SELECT id FROM runs WHERE seq = ?", (seq,)).fetchone() != (run,):
            if len(self._seqs) >= _SEQS:
                self._seqs.clear()
            seq, name = run_rows.find(connection, run)
            if name == run:
                self._seqs[run] = seq
        return seq


def _status(connection: sqlite3.Connection, seq: int) -> RunStatus:
    return RunStatus(connection.execute("SELECT status FROM runs WHERE seq = ?", (seq,)).fetchone()[0])


def _source(source: Source | None) -> str:
    return "{}" if source is None or source == Source() else msgspec.json.encode(source).decode()


def _pairs(connection: sqlite3.Connection, table: str, seq: int) -> dict[str, str]:
    return dict(connection.execute(f"SELECT key, value FROM {table} WHERE run = ?", (seq,)).fetchall())


def _add_pairs(connection: sqlite3.Connection, table: str, seq: int, pairs: Mapping[str, Any]) -> None:
    connection.executemany(
        f"INSERT INTO {table} (run, key, value, number) VALUES (?, ?, ?, ?)",
        [(seq, key, value, number_of(value)) for key, value in pairs.items()],
    )


def _add_inputs(connection: sqlite3.Connection, seq: int, inputs: Sequence[DatasetInput]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO run_inputs (run, dataset, version, digest, context, source_type, source) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (seq, part.dataset, part.version, part.digest, part.context, part.source_type, part.source)
            for part in inputs
        ],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO input_details (dataset, digest, schema, profile) VALUES (?, ?, ?, ?)",
        [(part.dataset, part.digest, part.schema, part.profile) for part in inputs if part.schema or part.profile],
    )


def _offset(at: str) -> int:
    if at == START:
        return 0
    if at.isascii() and at.isdigit() and len(at) < 19:
        return int(at)
    raise Invalid(f"{at!r} is no cursor of a metric's points; start again from the first page.", "at")
