"""Models, versions, gates and moves as the command line prints them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from backends.entities import AliasMove, Column, GateResult, Model, ModelVersion, Package
from console.cli.output import Col, gap, narrate, print_record, print_table
from console.training.measured import SIDE, in_order
from console.wording import in_weight, local_time, number, since, size

if TYPE_CHECKING:
    from console.cli.verb import Invocation
    from console.promotion.approvals import Waiting

MODEL_COLUMNS: list[Col[Model]] = [
    Col("name", lambda item: item.name),
    Col("latest", lambda item: f"v{item.latest}" if item.latest else "", right=True),
    Col("aliases", lambda item: " ".join(f"{alias}=v{item.aliases[alias]}" for alias in in_weight(item.aliases))),
    Col("age", lambda item: since(item.updated_at or item.created_at), right=True),
    Col("versions", lambda item: item.versions, right=True),
    Col("by", lambda item: item.created_by),
    Col("note", lambda item: item.note),
]

VERSION_COLUMNS: list[Col[ModelVersion]] = [
    Col("version", lambda item: f"v{item.version}", right=True),
    Col("aliases", lambda item: " ".join(in_weight(item.aliases))),
    Col("age", lambda item: since(item.created_at), right=True),
    Col(
        "metrics",
        lambda item: "  ".join(
            f"{key} {number(item.metrics[key])}" for key in in_order(item) if not key.startswith(SIDE)
        ),
        widest=60,
    ),
    Col("run", lambda item: item.run[:8]),
    Col("data", lambda item: " ".join(dict.fromkeys(f"{found.dataset}@{found.version}" for found in item.inputs))),
    Col("by", lambda item: item.created_by),
    Col("note", lambda item: item.note),
]

GATE_COLUMNS: list[Col[GateResult]] = [
    Col("gate", lambda item: item.gate),
    Col("result", lambda item: item.status, state=True),
    Col("measured", lambda item: item.value, widest=60),
    Col("wanted", lambda item: item.rule, widest=60),
    Col("detail", lambda item: item.detail, widest=80),
]

MOVE_COLUMNS: list[Col[AliasMove]] = [
    Col("when", lambda item: local_time(item.at)),
    Col("alias", lambda item: item.alias),
    Col("from", lambda item: f"v{item.previous}" if item.previous else "", right=True),
    Col("to", lambda item: f"v{item.version}" if item.version else "", right=True),
    Col("with", lambda item: ", ".join(item.along)),
    Col("action", lambda item: item.action),
    Col("by", lambda item: item.actor),
    Col("why", lambda item: item.reason, widest=60),
]


def print_version(found: ModelVersion, moves: Sequence[AliasMove], onnx: str = "") -> None:
    """Everything that is known of a version, and the moves that it had a part in."""
    print_record(
        {
            "version": f"{found.model} v{found.version}",
            "aliases": ", ".join(in_weight(found.aliases)),
            "run": found.run,
            "created": local_time(found.created_at),
            "by": found.created_by,
            "file": f"{found.file.format} {size(found.file.bytes)} sha256 {found.file.sha256}",
            "untrusted": ", ".join(found.file.untrusted),
            "onnx": onnx,
            "data": ", ".join(f"{item.dataset}@{item.version} {item.digest[:12]}" for item in found.inputs),
            **_package(found.package),
            "note": found.note,
            "tags": ", ".join(f"{key}={value}" for key, value in sorted(found.tags.items())),
        }
    )
    if found.metrics:
        gap()
        print_table(
            [(name, found.metrics[name]) for name in in_order(found)],
            [Col("metric", lambda pair: pair[0]), Col("value", lambda pair: number(pair[1], 6), right=True)],
        )
    for title, columns in (("input", found.signature.inputs), ("output", found.signature.outputs)):
        if columns:
            gap()
            print_table(columns, _signature_columns(title))
    if moves:
        gap()
        print_table(moves, MOVE_COLUMNS)


def _signature_columns(title: str) -> list[Col[Column]]:
    return [
        Col(title, lambda column: column.name),
        Col("type", lambda column: column.type),
        Col("note", lambda column: column.note, widest=40),
    ]


def _package(package: Package | None) -> dict[str, str]:
    if package is None:
        return {}
    return {
        "flavors": ", ".join(package.flavors),
        "mlflow": package.mlflow,
        "python": package.python,
        "needs": ", ".join(package.requirements),
    }


def telling(invocation: Invocation) -> Callable[[str], object]:
    """What hears of a move under way: a person does, a program that asked for one document does not."""
    return (lambda _: None) if invocation.json else narrate


def say_outcome(invocation: Invocation, outcome: AliasMove | Waiting) -> None:
    """The move, or the request that waits for others."""
    if isinstance(outcome, AliasMove):
        from console.promotion.along import moved_with, said_of

        moves = moved_with(invocation.backend, outcome)
        said = f"{outcome.model} {said_of(moves)}. Undo: mlops-console model undo"
        document: object = outcome
        if len(moves) > 1:
            document = {**msgspec.to_builtins(outcome), "moves": moves}
        invocation.show(document, lambda: narrate(said))
        return
    left = max(0, outcome.asked.approvals - len(outcome.agreed))
    until = local_time(outcome.asked.expires_at)
    said = (
        f"{outcome.what()}: waits for {left} to agree until {until}. "
        f"They do: mlops-console model approve {outcome.id[:8]}"
    )
    invocation.show({"waiting": outcome}, lambda: narrate(said))
