"""What is to be served, and what was last seen of it: the verbs of `DeploymentStore`."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from backends.contract import START, Conflict, Invalid, Mutation, Page, Refused
from backends.entities import Deployment, DeploymentState, DeploymentStatus, DeploymentWish, Guard
from backends.listing import cut
from backends.local import idempotency, journal
from backends.local.absent import absent
from backends.local.database import Database, now
from backends.local.limits import check_name, check_text
from backends.query import Query, select

MOST_WORKERS: Final = 256
MOST_TARGETS: Final = 16
ENGINES: Final = ("auto", "onnx", "sklearn")
_SHARES: Final = 1e-6
"""Shares that differ from 1 by no more are rounded, not wrong."""


class LocalDeployments:
    """`DeploymentStore` of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[Deployment]:
        """By name without an order."""
        with self._database.read() as connection:
            found = _deployments(connection)
        return cut(select(query, found), at, limit, name=lambda deployment: deployment.name)

    def get(self, name: str) -> Deployment:
        with self._database.read() as connection:
            return _deployment(connection, name)

    def create(self, deployment: Deployment, mutation: Mutation) -> Deployment:
        _check(deployment)
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "deploy.start", mutation) is not None:
                return _deployment(connection, deployment.name)
            taken = _deployments(connection, deployment.name)
            if taken:
                raise Conflict(
                    f"there is a deployment {deployment.name} already, made by {taken[0].created_by} at "
                    f"{journal.clock(taken[0].created_at)}; nothing was changed. Change it, or take another name."
                )
            at = now()
            made = msgspec.structs.replace(
                deployment,
                revision=1,
                created_at=at,
                created_by=mutation.actor,
                changed_at=at,
                status=DeploymentStatus(),
            )
            connection.execute(
                "INSERT INTO deployments (name, revision, record, status) VALUES (?, ?, ?, ?)",
                (made.name, made.revision, _text(made), msgspec.json.encode(made.status).decode()),
            )
            journal.append(connection, "deploy.start", made.name, mutation, after=_said(made))
            idempotency.note(connection, "deploy.start", mutation)
            return made

    def change(self, deployment: Deployment, mutation: Mutation) -> Deployment:
        _check(deployment)
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "deploy.change", mutation) is not None:
                return _deployment(connection, deployment.name)
            held = _deployment(connection, deployment.name)
            if held.revision != deployment.revision:
                raise Conflict(_moved(connection, held, deployment))
            before, after = _said(held), _said(deployment)
            changed = [field for field in after if before.get(field) != after[field]]
            if not changed:
                idempotency.note(connection, "deploy.change", mutation)
                return held
            made = msgspec.structs.replace(
                deployment,
                revision=held.revision + 1,
                created_at=held.created_at,
                created_by=held.created_by,
                changed_at=now(),
                status=held.status,
            )
            connection.execute(
                "UPDATE deployments SET revision = ?, record = ? WHERE name = ?",
                (made.revision, _text(made), made.name),
            )
            journal.append(
                connection,
                "deploy.change",
                made.name,
                mutation,
                before={field: before[field] for field in changed},
                after={field: after[field] for field in changed},
            )
            idempotency.note(connection, "deploy.change", mutation)
            return made

    def delete(self, name: str, mutation: Mutation) -> None:
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "deploy.delete", mutation) is not None:
                return
            held = _deployment(connection, name)
            if held.desired is not DeploymentWish.STOPPED or held.status.state is not DeploymentState.STOPPED:
                raise Refused(f"deployment {name} is {held.status.state}; nothing was changed. Stop it first.")
            connection.execute("DELETE FROM deployments WHERE name = ?", (name,))
            journal.append(connection, "deploy.delete", name, mutation, before=_said(held))
            idempotency.note(connection, "deploy.delete", mutation)

    def observe(self, name: str, status: DeploymentStatus) -> bool:
        text = msgspec.json.encode(status).decode()
        with self._database.read() as connection:
            if msgspec.json.encode(_deployment(connection, name).status).decode() == text:
                return False  # who looks every second writes only what is new
        with self._database.write() as connection:
            connection.execute("UPDATE deployments SET status = ? WHERE name = ?", (text, name))
        return True


def _deployments(connection: sqlite3.Connection, name: str | None = None) -> list[Deployment]:
    rows = connection.execute(
        "SELECT record, revision, status FROM deployments WHERE ?1 IS NULL OR name = ?1 ORDER BY name", (name,)
    )
    return [
        msgspec.structs.replace(
            msgspec.json.decode(record, type=Deployment),
            revision=revision,
            status=msgspec.json.decode(status, type=DeploymentStatus),
        )
        for record, revision, status in rows
    ]


def _deployment(connection: sqlite3.Connection, name: str) -> Deployment:
    found = _deployments(connection, name)
    if not found:
        raise absent(connection, "deployment", name)
    return found[0]


def _text(deployment: Deployment) -> str:
    return msgspec.json.encode(msgspec.structs.replace(deployment, status=DeploymentStatus())).decode()


def _said(deployment: Deployment) -> dict[str, Any]:
    """The definition, as the journal tells it."""
    kept_by_store = ("name", "revision", "created_at", "created_by", "changed_at", "status")
    whole: dict[str, Any] = msgspec.to_builtins(deployment)
    return {field: value for field, value in whole.items() if field not in kept_by_store}


def _moved(connection: sqlite3.Connection, held: Deployment, wanted: Deployment) -> str:
    row = connection.execute(
        "SELECT action, actor, at FROM journal WHERE target = ? AND action LIKE 'deploy.%' ORDER BY seq DESC LIMIT 1",
        (held.name,),
    ).fetchone()
    by = f" ({row[0]} by {row[1]} at {journal.clock(row[2])})" if row else ""
    return (
        f"deployment {held.name} was changed while you were looking{by}: it is at revision {held.revision}, you saw "
        f"{wanted.revision}; nothing was changed. Look again and repeat."
    )


def _check(deployment: Deployment) -> None:
    """What no deployment may be, whoever asks for it."""
    check_name("deployment", deployment.name)
    check_name("model", deployment.model, "model")
    check_text("a note", deployment.note, "note")
    targets = deployment.targets
    if not 1 <= len(targets) <= MOST_TARGETS:
        raise Invalid(f"a deployment has 1 to {MOST_TARGETS} targets, and this has {len(targets)}.", "targets")
    for target in targets:
        if bool(target.alias.strip()) == bool(target.version.strip()):
            raise Invalid("a target names an alias or a version, one of the two; nothing was changed.", "targets")
        if not 0 <= target.share <= 1:
            raise Invalid(f"target {target.label}: a share is 0 to 1, {target.share:g} is not.", "targets")
    labels = [target.label for target in targets]
    if len(set(labels)) != len(labels):
        raise Invalid(f"the targets {', '.join(labels)} name one twice; nothing was changed.", "targets")
    if targets[0].shadow:
        raise Invalid("the first target answers, and cannot be a shadow; nothing was changed.", "targets")
    total = sum(target.share for target in targets if not target.shadow)
    if abs(total - 1) > _SHARES:
        raise Invalid(f"the shares of the targets make {total * 100:g} %, not 100 %; nothing was changed.", "targets")
    if not 1 <= deployment.workers <= MOST_WORKERS:
        raise Invalid(f"workers are 1 to {MOST_WORKERS}, and {deployment.workers} is not.", "workers")
    if deployment.engine not in ENGINES:
        raise Invalid(f"engine is one of {', '.join(ENGINES)}, not {deployment.engine!r}.", "engine")
    if not 0 <= deployment.port <= 65_535:
        raise Invalid(f"port {deployment.port} is not between 0 (any free one) and 65535.", "port")
    if not 0 <= deployment.sample <= 1:
        raise Invalid(f"a sample is 0 to 1 of the predictions, and {deployment.sample:g} is not.", "sample")
    if deployment.guard is not None:
        _check_guard(deployment.guard)


def _check_guard(guard: Guard) -> None:
    if not 0 < guard.alpha < 1:
        raise Invalid(f"alpha of the guard is between 0 and 1, and {guard.alpha:g} is not.", "guard")
    for name in ("errors", "slow", "drift"):
        if not 0 <= getattr(guard, name) <= 10:
            raise Invalid(f"{name} of the guard is 0 (off) or more, and {getattr(guard, name):g} is not.", "guard")
    if guard.requests < 1:
        raise Invalid(f"the guard wants 1 request or more before it judges, not {guard.requests}.", "guard")
