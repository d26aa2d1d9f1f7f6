"""What a recipe says its runs need to themselves: `[needs]` with cpu, memory and gpu."""

from __future__ import annotations

import math

from backends.contract import Backend, Invalid, Refused
from backends.entities import Needs, Record
from console.sizes import parse_size


class NeedsTable(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run waits until all of it is free; what is left out it needs nothing of."""

    cpu: float = 0.0
    """Cores; numeric libraries are told to use as many threads."""
    memory: str | int = 0
    """`4 GB`."""
    gpu: int = 0
    """Cards; which, the run is told in CUDA_VISIBLE_DEVICES."""

    @property
    def needs(self) -> Needs:
        return Needs(cpu=self.cpu, memory=parse_size(self.memory), gpu=self.gpu)

    @property
    def threads(self) -> int:
        """0 where it does not say."""
        return max(1, int(self.cpu)) if self.cpu else 0


def wrong_needs(table: NeedsTable) -> tuple[str, str] | None:
    """(key, what is wrong with it), or None."""
    if not math.isfinite(table.cpu) or table.cpu < 0:
        return "cpu", f"is {table.cpu:g}, wanted a number of cores, such as 2 or 0.5."
    if table.gpu < 0:
        return "gpu", f"is {table.gpu}, wanted a number of cards."
    try:
        parse_size(table.memory)
    except Invalid as error:
        return "memory", str(error).partition(": ")[2]
    return None


def check_fits(backend: Backend, needs: Needs) -> None:
    """Refused where the launcher can never begin a run that needs so much: before anything is made."""
    most = backend.need("launcher").capacity().most
    why = needs.beyond(most) if most is not None else ""
    if why:
        raise Refused(
            f"it could never begin: {why}; nothing was started. Ask for less under [needs], or give the workspace more "
            "by capacity in config.toml and start its agent anew."
        )
