"""Registered models, their versions and aliases: the verbs of `ModelRegistry`."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from backends.alias_changes import check_changes
from backends.contract import START, Conflict, Mutation, NotFound, Page
from backends.entities import AliasChange, AliasMove, DatasetInput, Model, ModelFile, ModelVersion, Signature
from backends.listing import cut
from backends.local import alias_moves, idempotency, journal
from backends.local.absent import absent
from backends.local.database import Database, now
from backends.local.limits import check_name, check_pairs, check_text
from backends.query import And, Compare, Key, Query, select


class LocalRegistry:
    """`ModelRegistry` in the workspace's database. Versions count from 1 and are never reused."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------ reading

    def page(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[Model]:
        """By name without an order."""
        with self._database.read() as connection:
            found = [model for model in _models(connection) if kind in ("", model.kind)]
        return cut(select(query, found), at, limit, name=lambda model: model.name)

    def get(self, name: str) -> Model:
        with self._database.read() as connection:
            return _model(connection, name)

    def versions(self, name: str, *, at: str = START, limit: int = 100) -> Page[ModelVersion]:
        """Newest first."""
        with self._database.read() as connection:
            _model(connection, name)
            rows = connection.execute(
                f"SELECT {_VERSION} FROM model_versions WHERE model = ? ORDER BY version DESC", (name,)
            ).fetchall()
            found = cut(rows, at, limit, name=lambda row: str(row[0]))
            aliases = alias_moves.held(connection, name)
        return Page(
            items=tuple(_version(row, aliases) for row in found.items),
            next=found.next,
            previous=found.previous,
            first=found.first,
            total=found.total,
        )

    def search(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[ModelVersion]:
        """Of any model, newest first without an order."""
        with self._database.read() as connection:
            where, binds = _narrowed(query)
            held = alias_moves.every(connection)
            rows = connection.execute(
                f"SELECT {_VERSION} FROM model_versions JOIN models m ON m.name = model "
                f"WHERE (? = '' OR m.kind = ?){where} ORDER BY seq DESC",
                (kind, kind, *binds),
            )
            if query is None or (query.where is None and not query.order):
                page = cut(rows.fetchall(), at, limit, name=lambda row: f"{row[4]}@{row[0]}")
                return msgspec.structs.replace(
                    page, items=tuple(_version(row, held.get(row[4], {})) for row in page.items)
                )
            found = [_version(row, held.get(row[4], {})) for row in rows]
        return cut(select(query, found), at, limit, name=lambda version: version.ref)

    def version(self, model: str, version: str) -> ModelVersion:
        """By version, or by alias with `@alias` as the version."""
        with self._database.read() as connection:
            aliases = alias_moves.held(connection, model)
            number = version
            if version.startswith("@"):
                if version[1:] not in aliases:
                    _model(connection, model)
                    raise NotFound(f"model {model} has no alias {version[1:]}; it has {_listed(aliases)}.")
                number = aliases[version[1:]]
            return _version(_version_row(connection, model, number), aliases)

    def holders(self, models: Sequence[Model], alias: str) -> dict[str, ModelVersion]:
        """By model's name the version that holds the alias."""
        return {
            model.name: self.version(model.name, model.aliases[alias]) for model in models if alias in model.aliases
        }

    def history(self, model: str, *, alias: str = "", limit: int = 1000) -> tuple[AliasMove, ...]:
        """Newest first."""
        with self._database.read() as connection:
            _model(connection, model)
            rows = connection.execute(
                "SELECT record FROM alias_moves WHERE model = ? AND (? = '' OR alias = ?) ORDER BY seq DESC LIMIT ?",
                (model, alias, alias, limit),
            )
            # A model that was renamed keeps its history: the records say the name of then.
            return tuple(
                msgspec.structs.replace(msgspec.json.decode(record, type=AliasMove), model=model) for (record,) in rows
            )

    # ------------------------------------------------------------ changing

    def create(
        self,
        model: str,
        mutation: Mutation,
        *,
        note: str = "",
        tags: dict[str, str] | None = None,
        kind: str = "model",
    ) -> Model:
        check_name("model", model, "model")
        check_pairs("tag", tags or {}, "tags")
        check_text("a note", note, "note")
        at = now()
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "model.create", mutation) is None:
                if _models(connection, model):
                    raise Conflict(f"model {model} is there already; nothing was changed. Use it, or another name.")
                connection.execute(
                    "INSERT INTO models (name, created_at, created_by, updated_at, versions, note, tags, kind) "
                    "VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
                    (model, at, mutation.actor, at, note, _json(tags or {}), kind),
                )
                after = {"model": model} | ({"kind": kind} if kind != "model" else {})
                journal.append(connection, "model.create", model, mutation, after=after, at=at)
                idempotency.note(connection, "model.create", mutation)
            return _model(connection, model)

    def rename(self, model: str, name: str, mutation: Mutation) -> Model:
        """With versions, aliases and history."""
        check_name("model", name)
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "model.rename", mutation) is None:
                _model(connection, model)
                if name != model and _models(connection, name):
                    raise Conflict(f"model {name} is there already; nothing was changed. Take another name.")
                connection.execute("UPDATE models SET name = ?, updated_at = ? WHERE name = ?", (name, now(), model))
                for table in ("model_versions", "aliases", "alias_moves"):
                    connection.execute(f"UPDATE {table} SET model = ? WHERE model = ?", (name, model))
                journal.append(
                    connection, "model.rename", model, mutation, before={"name": model}, after={"name": name}
                )
                idempotency.note(connection, "model.rename", mutation)
            return _model(connection, name)

    def delete(self, model: str, mutation: Mutation) -> None:
        """With versions and aliases. Its moves stay, for whoever takes the name again and asks what was."""
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "model.delete", mutation) is not None:
                return
            found = _model(connection, model)
            for alias, version in found.aliases.items():
                alias_moves.take_away(connection, model, alias, version, mutation, "delete")
            before = {"versions": found.versions, "latest": found.latest, "aliases": found.aliases}
            journal.append(connection, "model.delete", model, mutation, before=before)
            connection.execute("DELETE FROM model_versions WHERE model = ?", (model,))
            connection.execute("DELETE FROM models WHERE name = ?", (model,))
            idempotency.note(connection, "model.delete", mutation)

    def delete_version(self, model: str, version: str, mutation: Mutation) -> None:
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "model.delete_version", mutation) is not None:
                return
            aliases = alias_moves.held(connection, model)
            found = _version(_version_row(connection, model, version), aliases)
            for alias in found.aliases:
                alias_moves.take_away(connection, model, alias, found.version, mutation, "delete")
            connection.execute("DELETE FROM model_versions WHERE model = ? AND version = ?", (model, int(version)))
            connection.execute(
                "UPDATE models SET versions = versions - 1, updated_at = ? WHERE name = ?", (now(), model)
            )
            before = {"run": found.run, "sha256": found.file.sha256, "aliases": found.aliases}
            journal.append(connection, "model.delete_version", found.ref, mutation, before=before)
            idempotency.note(connection, "model.delete_version", mutation)

    def register(
        self,
        model: str,
        *,
        run: str,
        file: ModelFile,
        signature: Signature,
        mutation: Mutation,
        metrics: dict[str, float] | None = None,
        params: dict[str, str] | None = None,
        inputs: Sequence[DatasetInput] = (),
        tags: dict[str, str] | None = None,
        note: str = "",
        source: str = "",
        logged_model: str = "",
    ) -> ModelVersion:
        """The next version of a model; the model is made if it is not there."""
        check_name("model", model, "model")
        check_pairs("tag", tags or {}, "tags")
        check_text("a note", note, "note")
        at = now()
        with self._database.write(durable=True) as connection:
            made = idempotency.made_before(connection, "model.register", mutation)
            if made is not None:
                name, _, number = made.rpartition("@")
                return _version(_version_row(connection, name, number), alias_moves.held(connection, name))
            connection.execute(
                "INSERT INTO models (name, created_at, created_by, updated_at, versions) VALUES (?, ?, ?, ?, 0) "
                "ON CONFLICT (name) DO NOTHING",
                (model, at, mutation.actor, at),
            )
            (number,) = connection.execute(
                "UPDATE models SET versions = versions + 1, last_number = last_number + 1, updated_at = ? "
                "WHERE name = ? RETURNING last_number",
                (at, model),
            ).fetchone()
            version = ModelVersion(
                model=model,
                version=str(number),
                created_at=at,
                created_by=mutation.actor,
                run=run,
                file=file,
                signature=signature,
                metrics=metrics or {},
                params=params or {},
                inputs=tuple(inputs),
                note=note,
                tags=tags or {},
                source=source,
                logged_model=logged_model,
            )
            connection.execute(
                "INSERT INTO model_versions (model, version, run, note, tags, record) VALUES (?, ?, ?, ?, ?, ?)",
                # msgpack: a metric may be NaN or infinite, which JSON cannot say.
                (model, number, run, note, _json(version.tags), msgspec.msgpack.encode(version)),
            )
            after = {"model": model, "version": str(number), "run": run, "sha256": file.sha256}
            journal.append(connection, "model.register", version.ref, mutation, after=after, at=at)
            idempotency.note(connection, "model.register", mutation, version.ref)
            return version

    def set_alias(
        self, model: str, alias: str, version: str | None, *, expected: str | None, mutation: Mutation
    ) -> AliasMove:
        """Compare and set, with its journal entry, in one transaction."""
        change = AliasChange(alias=alias, version=version, expected=expected)
        return self.set_aliases(model, (change,), mutation=mutation)[0]

    def set_aliases(self, model: str, changes: Sequence[AliasChange], *, mutation: Mutation) -> tuple[AliasMove, ...]:
        """Compare and set each, with one journal entry, in one transaction."""
        for change in check_changes(changes):
            check_name("alias", change.alias, "alias")
        with self._database.write(durable=True) as connection:
            made = idempotency.made_before(connection, "model.alias", mutation)
            if made is not None:
                return alias_moves.noted(made)
            _model(connection, model)
            for change in changes:
                if change.version is not None:
                    _version_row(connection, model, change.version)
            moves = alias_moves.move(connection, model, changes, mutation)
            idempotency.note(connection, "model.alias", mutation, alias_moves.note_of(moves))
            return moves

    def set_note(self, model: str, version: str, note: str, mutation: Mutation) -> None:
        """Of a version, or of the model itself where version is empty."""
        check_text("a note", note, "note")
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "model.note", mutation) is not None:
                return
            table, target, bind = _noted(connection, model, version)
            (before,) = connection.execute(f"SELECT note FROM {table}", bind).fetchone()
            if before != note:
                _set(connection, table, "note", note, bind)
                journal.append(
                    connection, "model.note", target, mutation, before={"note": before}, after={"note": note}
                )
            idempotency.note(connection, "model.note", mutation)

    def set_tags(self, model: str, version: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        """None removes a tag. Of a version, or of the model itself where version is empty."""
        check_pairs("tag", tags, "tags")
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "model.tag", mutation) is not None:
                return
            table, target, bind = _noted(connection, model, version)
            (text,) = connection.execute(f"SELECT tags FROM {table}", bind).fetchone()
            known: dict[str, str] = msgspec.json.decode(text)
            changed = {key: value for key, value in tags.items() if known.get(key) != value}
            if changed:
                kept = {key: value for key, value in {**known, **changed}.items() if value is not None}
                _set(connection, table, "tags", _json(kept), bind)
                before = {key: known.get(key) for key in changed}
                journal.append(
                    connection, "model.tag", target, mutation, before={"tags": before}, after={"tags": changed}
                )
            idempotency.note(connection, "model.tag", mutation)


# ---------------------------------------------------------------- rows

_VERSION: Final = "version, model_versions.note, model_versions.tags, record, model"


def _narrowed(query: Query | None) -> tuple[str, list[str]]:
    """SQL that is true of every version which the query can match; the query itself comes after."""
    parts, binds = "", []
    where = None if query is None else query.where
    for each in where.nodes if isinstance(where, And) else (where,):
        if (
            isinstance(each, Compare)
            and each.op == "="
            and isinstance(each.value, str)
            and each.key in (Key("attribute", "model"), Key("attribute", "run"))
        ):
            parts += f" AND {each.key.name} = ?"
            binds.append(each.value)
    return parts, binds


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _models(connection: sqlite3.Connection, name: str | None = None) -> list[Model]:
    aliases = alias_moves.every(connection) if name is None else {name: alias_moves.held(connection, name)}
    only = "" if name is None else " WHERE name = ?"
    bind = () if name is None else (name,)
    rows = connection.execute(
        "SELECT name, created_at, created_by, updated_at, versions, note, tags, kind, "
        "(SELECT max(v.version) FROM model_versions v WHERE v.model = name) FROM models"
        f"{only} ORDER BY name",
        bind,
    )
    return [
        Model(
            name=row[0],
            created_at=row[1],
            created_by=row[2],
            updated_at=row[3],
            versions=row[4],
            latest="" if row[8] is None else str(row[8]),
            aliases=aliases.get(row[0], {}),
            note=row[5],
            tags=msgspec.json.decode(row[6]),
            kind=row[7],
        )
        for row in rows
    ]


def _model(connection: sqlite3.Connection, name: str) -> Model:
    found = _models(connection, name)
    if not found:
        raise absent(connection, "model", name)
    return found[0]


def _version_row(connection: sqlite3.Connection, model: str, version: str) -> tuple[Any, ...]:
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 19 else -1
    row: tuple[Any, ...] | None = connection.execute(
        f"SELECT {_VERSION} FROM model_versions WHERE model = ? AND version = ?", (model, number)
    ).fetchone()
    if row is None:
        found = _model(connection, model)
        there = f"{found.versions} up to {found.latest}" if found.versions > 1 else found.latest or "none"
        raise NotFound(f"model {model} has no version {version}; it has {there}.")
    return row


def _version(row: tuple[Any, ...], aliases: Mapping[str, str]) -> ModelVersion:
    version = msgspec.msgpack.decode(row[3], type=ModelVersion)
    return msgspec.structs.replace(
        version,
        model=row[4],
        note=row[1],
        tags=msgspec.json.decode(row[2]),
        aliases=tuple(alias for alias, holder in aliases.items() if holder == version.version),
    )


def _noted(connection: sqlite3.Connection, model: str, version: str) -> tuple[str, str, tuple[Any, ...]]:
    """(table and condition, journal target, binds) of what carries a note or tags."""
    if not version:
        _model(connection, model)
        return "models WHERE name = ?", model, (model,)
    row = _version_row(connection, model, version)
    return "model_versions WHERE model = ? AND version = ?", f"{model}@{version}", (model, row[0])


def _set(connection: sqlite3.Connection, table: str, column: str, value: str, bind: tuple[Any, ...]) -> None:
    name, _, where = table.partition(" ")
    connection.execute(f"UPDATE {name} SET {column} = ? {where}", (value, *bind))
    if name == "model_versions":
        connection.execute("UPDATE models SET updated_at = ? WHERE name = ?", (now(), bind[0]))
    else:
        connection.execute("UPDATE models SET updated_at = ? WHERE name = ?", (now(), *bind))


def _listed(aliases: Mapping[str, str]) -> str:
    return ", ".join(aliases) if aliases else "none"
