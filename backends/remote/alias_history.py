"""The history of a server's aliases, of what each of its consoles knows: told by whoever moved, or only noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from backends.contract import BackendError, Unreachable
from backends.entities import AliasMove
from backends.remote.state import State

_LATELY_MS: Final = 3_600_000


def tell_owed(state: State, model: str, leave: Callable[[AliasMove], None]) -> None:
    """Leave our moves where others find them. What cannot be told is told after the next."""
    for move in state.owed(model):
        try:
            leave(move)
        except Unreachable:
            return
        except BackendError:
            pass  # the version is gone, or that is not for us to write: it stays with this console
        state.told(move)


def known_moves(state: State, model: str, told: Iterable[AliasMove], alias: str = "") -> list[AliasMove]:
    """Newest first: our own, those that others left, those that we noticed and nobody explains."""
    found = {(each.alias, each.at, each.version): each for each in state.moves(model)}
    for move in told:
        known = msgspec.structs.replace(move, model=model, entry="")
        found.setdefault((known.alias, known.at, known.version), known)
    explained = _explained(list(found.values()))
    return sorted((each for each in explained if alias in ("", each.alias)), key=lambda move: move.at, reverse=True)


def _explained(moves: list[AliasMove]) -> list[AliasMove]:
    """Without what we noticed of moves that whoever made them tells better: where the alias came to this version by
    what they tell, not long before that look, and did not leave it since."""
    found: list[AliasMove] = []
    last: dict[str, AliasMove] = {}
    for each in sorted(moves, key=lambda move: (move.at, move.action == "elsewhere")):
        before = last.get(each.alias)
        told = before is not None and before.action != "elsewhere" and before.version == each.version
        if each.action == "elsewhere" and told and before is not None and each.at - before.at < _LATELY_MS:
            continue
        found.append(each)
        last[each.alias] = each
    return found
