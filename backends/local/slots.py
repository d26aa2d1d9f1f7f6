"""What a workspace has for its runs (cores, memory, graphics cards, a number of runs at once), and who begins next."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from backends.entities import Needs, Record, Request
from backends.entities.requests import RESOURCES, amount
from backends.local.run_folder import write_whole

LOOKED_PAST: Final = 100
"""So many that do not fit may be passed by smaller ones; behind them everything waits its turn."""


class Slots(Record, frozen=True, kw_only=True):
    """All there is to give out."""

    runs: int
    cpu: float
    memory: int
    """Bytes."""
    gpus: tuple[str, ...] = ()
    """As CUDA_VISIBLE_DEVICES names them."""

    @property
    def most(self) -> Needs:
        return Needs(cpu=self.cpu, memory=self.memory, gpu=len(self.gpus))


class Held(NamedTuple):
    """What a run that was begun has to itself."""

    needs: Needs
    since: float
    """Milliseconds since the epoch."""


def default_runs() -> int:
    """How many runs a machine takes at once where nobody said: a fit uses several cores by itself."""
    return max(2, (os.cpu_count() or 1) // 4)


def machine_slots() -> Slots:
    """What this machine has: cores, memory (as a container limits it), NVIDIA's cards where its library finds any."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = int(psutil.virtual_memory().total)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        memory = min(memory, int(limit)) if limit.isdigit() else memory
    except OSError:
        pass  # no such control group: the machine's own memory is the limit
    return Slots(runs=default_runs(), cpu=float(cores), memory=memory, gpus=machine_gpus())


def machine_gpus() -> tuple[str, ...]:
    """The numbers of the cards; those that CUDA_VISIBLE_DEVICES leaves, where it is set."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(each.strip() for each in named.split(",") if each.strip() and each.strip() != "-1")
    try:
        import pynvml  # of nvidia-ml-py
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
        try:
            return tuple(str(at) for at in range(pynvml.nvmlDeviceGetCount()))
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:  # the library without a driver
        return ()


def slots_path(workspace: Path) -> Path:
    return workspace / "slots.json"


def write_slots(workspace: Path, slots: Slots) -> None:
    """By the agent, which knows the configuration; it stays when the agent ends."""
    write_whole(slots_path(workspace), msgspec.json.encode(slots))


def read_slots(workspace: Path) -> Slots:
    """As the last agent said, or what the machine has."""
    try:
        return msgspec.json.decode(slots_path(workspace).read_bytes(), type=Slots)
    except (FileNotFoundError, msgspec.DecodeError):
        return machine_slots()


def launch_payload(run: str, needs: Needs) -> dict[str, Any]:
    """Of a request to launch a run. What it needs stands in it, so that the queue is told from the requests alone."""
    return {"run": run} if needs == Needs() else {"run": run, "needs": msgspec.to_builtins(needs)}


def needs_of(request: Request) -> Needs:
    return msgspec.convert(request.payload.get("needs", {}), Needs)


def shortage(needs: Needs, held: Sequence[Held], slots: Slots) -> str:
    """What is missing for a run beside those that hold something, as a sentence; empty when it fits."""
    if len(held) >= slots.runs:
        return "the one slot is taken" if slots.runs == 1 else f"all {slots.runs} slots are taken"
    for name in RESOURCES:
        wanted, most = needs.of(name), slots.most.of(name)
        takers = [each.needs.of(name) for each in held if each.needs.of(name) > 0]
        taken = math.fsum(takers)
        if wanted > 0 and taken + wanted > most * (1 + 1e-9):
            by = f"{len(takers)} run{'' if len(takers) == 1 else 's'}"
            of = f"{_bare(name, taken)} of {_bare(name, most, unit=True)}"
            return f"waits for {amount(name, wanted)}: {of} taken by {by}"
    return ""


def reasons(waiting: Sequence[Request], claimed: Sequence[Request], slots: Slots) -> list[str]:
    """For each that waits, in its order, why it waits; empty for one that begins.

    A run may pass one before it that does not fit only where both would fit beside what was begun since the other
    began to wait: what passes a big run never keeps it waiting.
    """
    held = [Held(needs_of(each), each.claimed_at or 0) for each in claimed]
    passed: list[Request] = []
    found = []
    for each in waiting:
        needs = needs_of(each)
        why = needs.beyond(slots.most)
        if why:
            found.append(f"it can never begin: {why}; stop it, or give the workspace more")
            continue
        why = shortage(needs, held, slots) or _held_up(needs, held, passed, slots)
        found.append(why)
        if why:
            passed.append(each)
        else:
            held.append(Held(needs, math.inf))
    return found


def _held_up(needs: Needs, held: Sequence[Held], passed: Sequence[Request], slots: Slots) -> str:
    """Whether a run that fits would hold up one before it."""
    if len(passed) >= LOOKED_PAST:
        return "it waits its turn"
    for other in passed:
        since = [each for each in held if each.since > other.created_at]
        if shortage(needs_of(other), [*since, Held(needs, math.inf)], slots):
            return f"it would hold up run {str(other.payload.get('run', ''))[:8]}, which is before it"
    return ""


def in_words(claimed: Sequence[Request], slots: Slots) -> str:
    """How much is given out: `2 of 8 cpu, 6 of 8 GB of memory, 0 of 2 gpu taken`."""
    parts = []
    for name in RESOURCES:
        most = slots.most.of(name)
        if most:
            taken = math.fsum(needs_of(each).of(name) for each in claimed)
            parts.append(f"{_bare(name, taken)} of {amount(name, most)}")
    return f"{', '.join(parts)} taken" if parts else ""


def free_gpus(slots: Slots, taken: Sequence[str], count: int) -> tuple[str, ...]:
    """The first of the cards that nobody has."""
    return tuple(each for each in slots.gpus if each not in taken)[:count]


def _bare(name: str, value: float, *, unit: bool = False) -> str:
    if name == "memory":
        return f"{value / 1e9:.3g}" + (" GB" if unit else "")
    return f"{value:g}"
