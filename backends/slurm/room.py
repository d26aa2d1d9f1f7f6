"""What the cluster has and how much of it is taken, as sinfo tells it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

from backends.entities import ClusterRoom, Needs

FIELDS: Final = "NodeList:128,PartitionName:64,StateLong:32,CPUsState:32,Memory:20,AllocMem:20,Gres:128,GresUsed:128"
"""Of `sinfo -h -N -O`: columns of these widths. A node has a line for each of its partitions."""
_WIDTHS: Final = tuple(int(each.partition(":")[2]) for each in FIELDS.split(","))
_DOWN: Final = ("down", "drain", "fail", "maint", "unknown", "no_respond", "power", "error", "future", "reserved")
_GPU: Final = re.compile(r"(?:^|,)gpu(?::[^,:(]+)*:(\d+)")
MEBI: Final = 2**20


def read_sinfo(text: str) -> ClusterRoom:
    """Nodes that are down have no room, and are told."""
    partitions: dict[str, Counter[str]] = {}
    seen: set[str] = set()
    total, taken, down = Counter[str](), Counter[str](), Counter[str]()
    for line in text.splitlines():
        node, partition, state, cpus, memory, held, gres, gres_used = _columns(line)
        counts = cpus.split("/")
        if len(counts) != 4 or not all(each.isdigit() for each in counts):
            continue
        allocated, idle, _other, _all = map(int, counts)
        name = partition.rstrip("*")
        here = partitions.setdefault(name, Counter())
        here.update(taken=allocated, total=allocated + idle)
        if node in seen:
            continue
        seen.add(node)
        word = state.rstrip("*~#!%$@^-+")
        if state.endswith("*") or any(word.startswith(each) for each in _DOWN):
            down[word if not state.endswith("*") else "not responding"] += 1
            if not allocated:
                continue
        total.update(cpu=allocated + idle, memory=_count(memory), gpu=gpus(gres))
        taken.update(cpu=allocated, memory=_count(held), gpu=gpus(gres_used))
    note = ", ".join(f"{count} {'machine is' if count == 1 else 'machines are'} {word}" for word, count in down.items())
    return ClusterRoom(
        nodes=len(seen),
        total=Needs(cpu=total["cpu"], memory=total["memory"] * MEBI, gpu=total["gpu"]),
        taken=Needs(cpu=taken["cpu"], memory=taken["memory"] * MEBI, gpu=taken["gpu"]),
        others={name: f"{each['taken']} of {each['total']} cpu" for name, each in partitions.items()},
        totals={name: float(each["total"]) for name, each in partitions.items()},
        note=note,
    )


def fits(needs: Needs, options: Mapping[str, str], room: ClusterRoom) -> int:
    """How many jobs have a place. `options` are sbatch's: in a partition there is no more than it has."""
    needs = msgspec.structs.replace(needs, cpu=max(1, math.ceil(needs.cpu)))
    cores = [room.totals.get(name, 0.0) for name in options.get("partition", "").split(",") if name]
    return int(min(needs.times_in(room.total), sum(cores) // needs.cpu if cores else math.inf))


def _columns(line: str) -> list[str]:
    found, at = [], 0
    for width in _WIDTHS:
        found.append(line[at : at + width].strip())
        at += width
    return found


def _count(text: str) -> int:
    return int(text) if text.isdigit() else 0


def gpus(gres: str) -> int:
    """`gpu:a100:4(S:0-1),shard:8` → 4."""
    return sum(int(each) for each in _GPU.findall(gres))
