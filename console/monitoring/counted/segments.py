"""Named segments of a monitor: parts of the rows that are counted beside the whole. Plain Python; rows are matched in
`members`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import msgspec

from backends.contract import Backend, Conflict, Invalid, Mutation, NotFound
from backends.entities import Column, ColumnType, Monitor, Segment
from backends.query import And, Fields, Node, Not, Or, QueryError, Text, parse
from backends.query_nodes import Kind

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,59}")
MOST_SEGMENTS = 40
"""Each is counted at every batch, and each alarms by chance now and then."""
MOST_PROTECTED = 10


def row_fields(columns: Sequence[Column]) -> Fields:
    """What a condition on rows can ask for: each column as a number, a text, a time, or true and false.

    Names are read in any case, as everywhere in the query language; two columns that differ in case alone cannot be
    told apart and are refused.
    """
    lowered = [column.name.lower() for column in columns]
    refused = {
        name: "two columns differ only in upper and lower case; rename one"
        for name in lowered
        if lowered.count(name) > 1
    }
    return Fields(
        noun="row",
        attributes={
            column.name.lower(): _kind(column.type) for column in columns if column.name.lower() not in refused
        },
        refused=refused,
    )


def read_segment(segment: Segment, columns: Sequence[Column]) -> Node:
    """The condition as a tree. Raises Invalid that names the segment and the column, with the nearest name that is."""
    try:
        query = parse(segment.where, row_fields(columns))
    except QueryError as error:
        raise Invalid(f"segment {segment.name}: {error.summary}", "where") from error
    if query.where is None:
        raise Invalid(
            f"segment {segment.name} has no condition; write one on the model's columns: {_example(columns)}",
            "where",
        )
    if query.order:
        raise Invalid(
            f"segment {segment.name}: rows of a segment have no order; remove the words after order by", "where"
        )
    word = _bare_word(query.where)
    if word:
        raise Invalid(
            f"segment {segment.name}: {word!r} compares no column; write for instance {_example(columns)}", "where"
        )
    return query.where


def add_segment(backend: Backend, monitor: str, segment: Segment, mutation: Mutation) -> Monitor:
    """Count this part from the next batch on. Raises Invalid for the condition, Conflict where the name is taken.

    A name whose windows are kept cannot come back: what it means in the history may be another condition.
    """
    found: Monitor = backend.need("monitors").get(monitor)
    if any(known.name == segment.name for known in found.segments):
        raise Conflict(
            f"monitor {monitor} has a segment {segment.name} already; remove it first, or name this one anew"
        )
    if backend.need("monitors").windows(monitor, limit=1, segment=segment.name):
        raise Conflict(
            f"monitor {monitor} keeps windows of an earlier segment {segment.name}; choose another name, so that its "
            "history has one meaning"
        )
    check_segments(backend, found, (*found.segments, segment), found.protected)
    return _put(backend, found, mutation.named("monitor.segment"), segments=(*found.segments, segment))


def remove_segment(backend: Backend, monitor: str, name: str, mutation: Mutation) -> Monitor:
    """Count it no longer. Its windows stay, and late labels still reach them."""
    found: Monitor = backend.need("monitors").get(monitor)
    names = [segment.name for segment in found.segments]
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names) or 'none'}"
        raise NotFound(f"monitor {monitor} has no segment {name}; {hint}")
    left = tuple(segment for segment in found.segments if segment.name != name)
    return _put(backend, found, mutation.named("monitor.segment"), segments=left)


def protect_columns(backend: Backend, monitor: str, columns: Sequence[str], mutation: Mutation) -> Monitor:
    """Compare the answers between the groups of these columns from the next batch on; none compares none."""
    found: Monitor = backend.need("monitors").get(monitor)
    chosen = tuple(dict.fromkeys(columns))
    check_segments(backend, found, found.segments, chosen)
    return _put(backend, found, mutation.named("monitor.protect"), protected=chosen)


def check_segments(
    backend: Backend, monitor: Monitor, segments: Sequence[Segment], protected: Sequence[str]
) -> tuple[Column, ...]:
    """The columns of the version that the monitor's alias names, once everything was found to fit them. Raises
    Invalid naming what does not."""
    version = backend.need("registry").version(monitor.model, f"@{monitor.alias}")
    columns: tuple[Column, ...] = tuple(version.signature.inputs) if version.signature is not None else ()
    names = [segment.name for segment in segments]
    for segment in segments:
        if not NAME.fullmatch(segment.name):
            raise Invalid(
                f"segment name {segment.name!r}: use letters, digits, blanks, '.', '_' and '-', first a letter or "
                "digit, at most 60",
                "name",
            )
        if names.count(segment.name) > 1:
            raise Invalid(f"two segments are named {segment.name}; give each its own name", "name")
        read_segment(segment, columns)
    if len(names) > MOST_SEGMENTS:
        raise Invalid(f"{len(names)} segments; at most {MOST_SEGMENTS} are counted beside the whole", "segments")
    if len(protected) > MOST_PROTECTED:
        raise Invalid(f"{len(protected)} protected columns; at most {MOST_PROTECTED} are compared", "protected")
    taken = {monitor.id_column: "id", monitor.time_column: "time", monitor.label_column: "label"}
    for name in protected:
        if not name.strip():
            raise Invalid("a protected column has no name; write the column whose groups are compared", "protected")
        if name in taken:
            raise Invalid(f"{name} is the monitor's {taken[name]} column and makes no groups of people", "protected")
        near = difflib.get_close_matches(name, [column.name for column in columns], 1, 0.8)
        if near and near[0] != name:
            raise Invalid(f"protected column {name!r} is no feature; did you mean {near[0]}?", "protected")
    return columns


def _put(backend: Backend, monitor: Monitor, mutation: Mutation, **changes: object) -> Monitor:
    put: Monitor = backend.need("monitors").put(msgspec.structs.replace(monitor, **changes), mutation)
    return put


def _kind(type_: ColumnType) -> Kind:
    if type_ is ColumnType.BOOL:
        return "bool"
    if type_ in (ColumnType.INT, ColumnType.FLOAT):
        return "number"
    return "time" if type_ in (ColumnType.DATETIME, ColumnType.DATE) else "text"


def _bare_word(node: Node) -> str:
    match node:
        case Text(value):
            return value
        case Not(inner):
            return _bare_word(inner)
        case And(nodes) | Or(nodes):
            return next(filter(None, map(_bare_word, nodes)), "")
    return ""


def _example(columns: Sequence[Column]) -> str:
    number = next((column.name for column in columns if _kind(column.type) == "number"), "")
    text = next((column.name for column in columns if _kind(column.type) == "text"), "")
    return " and ".join(filter(None, (text and f"{text} = A", number and f"{number} > 1"))) or "column = value"
