"""The cluster that a context's runs go to, in words: what answered, and what room it has."""

from __future__ import annotations

import time

from backends.contract import Backend, BackendError
from backends.entities import Capacity, ClusterRoom, LauncherRef, Record, RunQueue
from backends.entities.requests import RESOURCES, amount
from console.safe import safe_text
from console.wording import duration, plural


class ClusterLook(Record, frozen=True, kw_only=True):
    """One look at a cluster."""

    url: str
    answered: str = ""
    """Its version and how it is guarded; empty where it is away."""
    seconds: float = 0.0
    room: ClusterRoom | None = None
    trouble: str = ""


def look_at_cluster(ref: LauncherRef) -> ClusterLook:
    """Ask it who it is and what room it has. Every trouble is in the answer."""
    from backends.launchers import open_engine

    begun = time.perf_counter()
    try:
        engine = open_engine(ref)
    except BackendError as wrong:
        return ClusterLook(url=ref.url, trouble=str(wrong))
    try:
        said = engine.probe()
        took = time.perf_counter() - begun
        return ClusterLook(url=ref.url, answered=said, seconds=round(took, 4), room=engine.room())
    except BackendError as away:
        return ClusterLook(url=ref.url, trouble=str(away))
    finally:
        engine.close()


def cluster_line(seen: ClusterLook) -> str:
    """One line for people."""
    if seen.trouble:
        return f"launcher {safe_text(seen.url)}: {safe_text(seen.trouble)}"
    room = f"; {room_words(seen.room)}" if seen.room is not None else ""
    return f"launcher {safe_text(seen.url)}: {safe_text(seen.answered)}, answered in {duration(seen.seconds)}{room}"


def room_words(room: ClusterRoom) -> str:
    """`2 nodes, 1 of 3 cpu, 0 of 22 GB of memory, slot 0 of 1; 4 waiting for room`."""
    parts = [plural(room.nodes, "node")]
    for each in RESOURCES:
        total = room.total.of(each)
        if total:
            taken = room.taken.of(each) / (1e9 if each == "memory" else 1)
            parts.append(f"{taken:.3g} of {amount(each, total)}")
    parts += [f"{safe_text(name)} {safe_text(said)}" for name, said in room.others.items()]
    return ", ".join(parts) + (f"; {safe_text(room.note)}" if room.note else "")


def capacity_words(capacity: Capacity) -> str:
    """What is known of the cluster that a launcher's runs go to; empty where they stay on this machine."""
    if not capacity.place:
        return ""
    known = room_words(capacity.room) if capacity.room is not None else ""
    away = f"away: {safe_text(capacity.note, 120)}" if capacity.note else ""
    return f"{safe_text(capacity.place)}: " + "; ".join(each for each in (away, known) if each)


def queue_words(backend: Backend, queue: RunQueue) -> str:
    """How many run and wait: of so many slots, or in which cluster."""
    if backend.launches_on is None:
        return f"{len(queue.running)} of {queue.slots} slots taken, {len(queue.waiting)} waiting"
    there = capacity_words(backend.need("launcher").capacity())
    return f"{len(queue.running)} running, {len(queue.waiting)} waiting; {there}"
