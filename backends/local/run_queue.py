"""What waits to be run and why; its order, and whether anything is begun at all."""

from __future__ import annotations

from pathlib import Path

import msgspec

from backends.contract import Conflict, Journal, Mutation, RequestQueue
from backends.entities import QueuePause, Request, RunQueue, WaitingRun
from backends.local.agent_presence import living_agent
from backends.local.run_folder import write_whole
from backends.local.settle import now
from backends.local.slots import in_words, read_slots, reasons

LAUNCH = "run.launch"
"""Kind of the durable request by which a run is started; its payload is {"run": id}."""
MOST = 10_000
PRIORITIES = range(-1_000, 1_001)


def pause_path(workspace: Path) -> Path:
    return workspace / "queue.paused"


def pause_of(workspace: Path) -> QueuePause | None:
    """Who paused the queue; None while it goes on. A file that cannot be read pauses as well."""
    try:
        return msgspec.json.decode(pause_path(workspace).read_bytes(), type=QueuePause)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        return QueuePause(actor="?", at=0, reason=f"{pause_path(workspace)} cannot be read; resume the queue")


def pause(workspace: Path, journal: Journal | None, mutation: Mutation) -> QueuePause:
    """No further run is begun until `resume`; those that run go on. It outlives agents and reboots."""
    found = pause_of(workspace)
    if found is not None:
        raise Conflict(f"the queue is paused already, by {found.actor}; nothing was changed.")
    made = QueuePause(actor=mutation.actor, at=now(), reason=mutation.reason)
    write_whole(pause_path(workspace), msgspec.json.encode(made))
    if journal is not None:
        journal.record(mutation.action or "queue.pause", "queue", mutation, after={"paused": True})
    return made


def resume(workspace: Path, journal: Journal | None, mutation: Mutation) -> None:
    if pause_of(workspace) is None:
        raise Conflict("the queue is not paused; nothing was changed.")
    pause_path(workspace).unlink(missing_ok=True)
    if journal is not None:
        journal.record(mutation.action or "queue.resume", "queue", mutation, after={"paused": False})


def queue(workspace: Path, requests: RequestQueue, runs: int) -> RunQueue:
    """What runs and what waits, in the order in which it will be begun; `runs` is how many may at once."""
    claimed = requests.list(states=("claimed",), kind=LAUNCH, limit=MOST)
    waiting = requests.list(states=("waiting",), kind=LAUNCH, limit=MOST)
    slots = msgspec.structs.replace(read_slots(workspace), runs=runs)
    paused = pause_of(workspace)
    idle = living_agent(workspace) is None
    whys = reasons(waiting, claimed, slots)
    return RunQueue(
        slots=runs,
        running=tuple(_run(each) for each in claimed),
        waiting=tuple(
            WaitingRun(
                run=_run(each), priority=each.priority, since=each.created_at, by=each.created_by,
                why=_why(place, waiting, paused, whys[place], idle=idle),
            )
            for place, each in enumerate(waiting)
        ),
        paused=paused,
        taken=in_words(claimed, slots),
    )  # fmt: skip


def _run(request: Request) -> str:
    return str(request.payload.get("run", ""))


def _why(place: int, waiting: tuple[Request, ...], paused: QueuePause | None, short: str, *, idle: bool) -> str:
    if paused is not None:
        return f"the queue is paused by {paused.actor}" + (f": {paused.reason}" if paused.reason else "")
    if idle:
        return "no agent runs to begin it: mlops-console agent start"
    if not short:
        return "it is about to begin"
    if place == 0:
        return f"{short}; it is next"
    higher = sum(each.priority > waiting[place].priority for each in waiting[:place])
    ahead = f"{place} {'goes' if place == 1 else 'go'} before it"
    return f"{short}; {ahead}" + (f", {higher} by a higher priority" if higher else "")
