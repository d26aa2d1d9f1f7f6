"""What a workspace gives to its runs: as its context says, else what the machine has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from backends.contract import BackendError
from backends.local.slots import Slots, machine_slots
from console.config import load_config
from console.sizes import parse_size


def capacity_of(workspace: Path, say: Callable[[str], None]) -> Slots:
    """A configuration that cannot be read is said, and the machine's own figures hold."""
    slots = machine_slots()
    try:
        contexts = load_config().contexts.values()
        given = [each.capacity for each in contexts if each.directory is not None and _same(each.directory, workspace)]
        for each in given:
            slots = msgspec.structs.replace(
                slots,
                runs=each.runs or slots.runs,
                cpu=each.cpu or slots.cpu,
                memory=parse_size(each.memory) or slots.memory,
                gpus=slots.gpus if each.gpu is None else _cards(slots.gpus, each.gpu),
            )
    except BackendError as wrong:
        say(f"the capacity is the machine's: {wrong}")
    return slots


def _cards(found: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The first `count`; beyond those that were found, by their numbers."""
    return (*found, *(str(at) for at in range(len(found), count)))[:count]


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
