"""What whoever calls a model notices when another version answers: columns, and who serves what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from backends.contract import Backend
from backends.entities import AliasChange, Column, ColumnType, DeploymentState, ModelVersion, Record
from backends.mlmodel import OPTIONAL
from console.promotion.warming import followers


class ColumnChange(Record, frozen=True, kw_only=True):
    """A column that one of two versions takes otherwise."""

    name: str
    what: Literal["added", "removed", "type"]
    was: str = ""
    will: str = ""
    """Its types; empty where there is none."""
    breaks: bool = False
    """Callers of today are refused until they send it, send it otherwise, or leave it out: a server steps over columns
    that its model does not know only where it is told to."""


class ServedChange(Record, frozen=True, kw_only=True):
    """A deployment that follows the alias: what it answers with, and what it will."""

    deployment: str
    alias: str
    share: float
    shadow: bool
    was: str
    """Version that its server says it serves; empty where it serves none."""
    will: str
    state: DeploymentState


def column_changes(will: ModelVersion, was: ModelVersion | None) -> tuple[ColumnChange, ...]:
    """Inputs that `will` takes otherwise than `was`; what breaks callers first. None where a signature is unknown."""
    if was is None or not was.signature.inputs or not will.signature.inputs:
        return ()
    sent = {column.name: column for column in was.signature.inputs}
    taken = {column.name: column for column in will.signature.inputs}
    found = [
        ColumnChange(name=name, what="added", will=column.type, breaks=column.note != OPTIONAL)
        for name, column in taken.items()
        if name not in sent
    ]
    found += [
        ColumnChange(
            name=name, what="type", was=sent[name].type, will=column.type, breaks=not takes(column, sent[name])
        )
        for name, column in taken.items()
        if name in sent and column.type is not sent[name].type
    ]
    found += [
        ColumnChange(name=name, what="removed", was=column.type, breaks=True)
        for name, column in sent.items()
        if name not in taken
    ]
    return tuple(sorted(found, key=lambda change: not change.breaks))


def takes(column: Column, sent: Column) -> bool:
    """A whole number is a number; otherwise the type is the same, and of tensors the shape."""
    if column.type is ColumnType.OTHER:
        return sent.type is ColumnType.OTHER and column.note == sent.note
    widened = column.type is ColumnType.FLOAT and sent.type in (ColumnType.INT, ColumnType.BOOL)
    return column.type is sent.type or widened


def served_changes(backend: Backend, model: str, changes: Sequence[AliasChange]) -> tuple[ServedChange, ...]:
    """Every deployment that serves something else once these aliases have moved."""
    found = []
    for follower in followers(backend, model, changes):
        status = follower.deployment.status
        target = next(each for each in follower.deployment.targets if each.alias == follower.alias)
        found.append(
            ServedChange(
                deployment=follower.deployment.name,
                alias=follower.alias,
                share=target.share,
                shadow=target.shadow,
                was=next((each.version for each in status.served if each.target == follower.alias), ""),
                will=follower.version,
                state=status.state,
            )
        )
    return tuple(found)
