"""Logged models: the verbs of `LoggedModelStore`. Their files are artifacts under the model's id."""

from __future__ import annotations

import math
import sqlite3
import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from backends.contract import START, Conflict, Invalid, Mutation, NotFound, Page
from backends.entities import LoggedMetric, LoggedModel, ModelOutput
from backends.listing import cut
from backends.local import experiments, idempotency, journal, run_rows
from backends.local.database import Database, now
from backends.local.limits import check_pairs, check_text

PREFIX: Final = "m-"
STATUSES: Final = ("pending", "ready", "failed")
_COLUMNS: Final = "id, name, experiment, run, type, status, created_at, updated_at, deleted_at, params, tags"


class LocalLoggedModels:
    """`LoggedModelStore` in the workspace's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, *, experiments: Sequence[str] = (), run: str = "", at: str = START, limit: int = 100
    ) -> Page[LoggedModel]:
        conditions, binds = ["deleted_at IS NULL"], []
        if experiments:
            conditions.append(f"experiment IN ({', '.join('?' * len(experiments))})")
            binds += list(experiments)
        if run:
            conditions.append("run = ?")
            binds.append(run)
        where = " AND ".join(conditions)
        with self._database.read() as connection:
            ids = connection.execute(
                f"SELECT id FROM logged_models WHERE {where} ORDER BY created_at DESC, seq DESC", binds
            ).fetchall()
            found = cut(ids, at, limit, name=lambda row: str(row[0]))
            return Page(
                items=tuple(get(connection, name) for (name,) in found.items),
                next=found.next,
                previous=found.previous,
                first=found.first,
                total=found.total,
            )

    def get(self, model: str) -> LoggedModel:
        with self._database.read() as connection:
            return get(connection, model)

    def create(
        self,
        *,
        name: str,
        experiment: str,
        mutation: Mutation,
        run: str = "",
        type: str = "",  # noqa: A002
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        id: str = "",  # noqa: A002
    ) -> LoggedModel:
        check_text("the name of a model", name, "name", 65_536)
        check_pairs("parameter", params or {}, "params")
        check_pairs("tag", tags or {}, "tags")
        made, at = id or PREFIX + uuid.uuid4().hex, now()
        if not made.startswith(PREFIX):
            raise Invalid(f"the id of a logged model begins with {PREFIX}, and {made[:80]} does not.", "id")
        with self._database.write(durable=True) as connection:
            before = idempotency.made_before(connection, "logged_model.create", mutation)
            if before is not None:
                return get(connection, before)
            if connection.execute("SELECT 1 FROM logged_models WHERE id = ?", (made,)).fetchone():
                raise Conflict(f"logged model {made} is there already; nothing was changed. Leave the id to the store.")
            experiments.ensure(connection, experiment, at)
            connection.execute(
                f"INSERT INTO logged_models ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, NULL, ?, ?)",
                (
                    made,
                    name or f"model-{made[2:10]}",
                    experiment,
                    run_rows.find(connection, run)[1] if run else "",
                    type,
                    at,
                    at,
                    _json(params or {}),
                    _json(tags or {}),
                ),
            )
            idempotency.note(connection, "logged_model.create", mutation, made)
            return get(connection, made)

    def finish(self, model: str, status: str) -> LoggedModel:
        if status not in STATUSES:
            raise Invalid(f"a logged model is {', '.join(STATUSES)}, not {status}; nothing was changed.", "status")
        with self._database.write(durable=True) as connection:
            _living(connection, model)
            connection.execute(
                "UPDATE logged_models SET status = ?, updated_at = ? WHERE id = ?", (status, now(), model)
            )
            return get(connection, model)

    def log_params(self, model: str, params: dict[str, str]) -> None:
        check_pairs("parameter", params, "params")
        with self._database.write() as connection:
            found = _living(connection, model)
            for key, value in params.items():
                if found.params.get(key, value) != value:
                    raise Invalid(
                        f"parameter {key} of {model} is {found.params[key]} and cannot become {value}; nothing was "
                        "changed.",
                        f"params.{key}",
                    )
            self._set(connection, model, "params", {**found.params, **params})

    def log_metrics(self, model: str, metrics: Sequence[LoggedMetric]) -> None:
        with self._database.write() as connection:
            _living(connection, model)
            connection.executemany(
                "INSERT INTO logged_metrics (model, key, run, dataset, digest, value, step, at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, "
                "step = excluded.step, at = excluded.at WHERE (excluded.step, excluded.at) >= (step, at)",
                [(model, m.key, m.run, m.dataset, m.digest, m.value, m.step, m.at) for m in metrics],
            )
            connection.execute("UPDATE logged_models SET updated_at = ? WHERE id = ?", (now(), model))

    def set_tags(self, model: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        check_pairs("tag", tags, "tags")
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "logged_model.tag", mutation) is not None:
                return
            found = _living(connection, model)
            kept = {key: value for key, value in {**found.tags, **tags}.items() if value is not None}
            if kept != found.tags:
                self._set(connection, model, "tags", kept)
            idempotency.note(connection, "logged_model.tag", mutation)

    def delete(self, model: str, mutation: Mutation) -> None:
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "logged_model.delete", mutation) is not None:
                return
            found, at = get(connection, model), now()
            if found.deleted_at is None:
                connection.execute("UPDATE logged_models SET deleted_at = ? WHERE id = ?", (at, model))
                journal.append(
                    connection,
                    "logged_model.delete",
                    model,
                    mutation,
                    before={"deleted_at": None},
                    after={"deleted_at": at},
                )
            idempotency.note(connection, "logged_model.delete", mutation)

    def add_outputs(self, run: str, outputs: Sequence[ModelOutput]) -> None:
        with self._database.write() as connection:
            name = run_rows.find(connection, run)[1]
            for output in outputs:
                _living(connection, output.model)
                connection.execute(
                    "INSERT OR REPLACE INTO run_outputs (run, model, step) VALUES (?, ?, ?)",
                    (name, output.model, output.step),
                )

    def outputs(self, run: str) -> tuple[ModelOutput, ...]:
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT o.model, o.step FROM run_outputs o LEFT JOIN logged_models m ON m.id = o.model "
                "WHERE o.run = ? ORDER BY o.step, m.seq",
                (run_rows.find(connection, run)[1],),
            )
            return tuple(ModelOutput(model=model, step=step) for model, step in rows)

    def _set(self, connection: sqlite3.Connection, model: str, column: str, value: dict[str, str]) -> None:
        connection.execute(
            f"UPDATE logged_models SET {column} = ?, updated_at = ? WHERE id = ?", (_json(value), now(), model)
        )


def get(connection: sqlite3.Connection, model: str) -> LoggedModel:
    """By id, deleted or not."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM logged_models WHERE id = ?", (model,)).fetchone()
    if row is None:
        raise NotFound(f"logged model {model} is not there; give the id of one, such as m-1f…")
    metrics = connection.execute(
        "SELECT key, value, step, at, run, dataset, digest FROM logged_metrics WHERE model = ? ORDER BY key, at",
        (model,),
    )
    return LoggedModel(
        id=row[0],
        name=row[1],
        experiment=row[2],
        run=row[3],
        type=row[4],
        status=row[5],
        created_at=row[6],
        updated_at=row[7],
        deleted_at=row[8],
        params=msgspec.json.decode(row[9]),
        tags=msgspec.json.decode(row[10]),
        metrics=tuple(
            LoggedMetric(
                key=m[0],
                value=math.nan if m[1] is None else m[1],
                step=m[2],
                at=m[3],
                run=m[4],
                dataset=m[5],
                digest=m[6],
            )
            for m in metrics
        ),
    )


def _living(connection: sqlite3.Connection, model: str) -> LoggedModel:
    found = get(connection, model)
    if found.deleted_at is not None:
        raise NotFound(f"logged model {model} is deleted; nothing was changed.")
    return found


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
