"""The reading half of `ModelRegistry` over a repository."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from backends.contract import START, NotFound, Page
from backends.entities import AliasMove, Model, ModelVersion
from backends.gto.ledger import Registered
from backends.gto.names import Numbering
from backends.gto.repository import Kept, Repository, Snapshot
from backends.gto.state import State
from backends.gto.versions import VersionRecord, Versions, pairs
from backends.listing import cut
from backends.query import Query, select
from backends.query_keys import nearest

_NAMED: Final = 5


class GtoReading:
    """Models, versions, stages and their moves."""

    def __init__(self, repository: Repository, numbering: Numbering, state: State) -> None:
        self._repository = repository
        self._numbering = numbering
        self._state = state
        self._versions = Versions(repository, numbering)
        self._models: tuple[object, tuple[Model, ...]] = (None, ())

    # ------------------------------------------------------------ models

    def page(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[Model]:
        seen = self._repository.look()
        found = [model for model in self._all(seen) if kind in ("", model.kind)]
        return self._dated(cut(select(query, found), at, limit, name=lambda model: model.name), seen)

    def _all(self, seen: Snapshot) -> tuple[Model, ...]:
        if self._models[0] is not seen.models:
            made = tuple(self._versions.model(name, kept) for name, kept in seen.models.items() if kept.there)
            self._models = (seen.models, made)
        return self._models[1]

    @staticmethod
    def _dated(page: Page, seen: Snapshot) -> Page:  # type: ignore[type-arg]
        return msgspec.structs.replace(page, note=seen.stale) if seen.stale else page

    def get(self, name: str) -> Model:
        return self._versions.model(name, self._kept(self._repository.look(), name))

    def _kept(self, seen: Snapshot, name: str) -> Kept:
        kept = seen.models.get(name)
        if kept is not None and kept.there:
            return kept
        known = [model.name for model in self._all(seen)]
        if not known:
            raise NotFound(f"there is no model {name[:200]}; there is no model yet in {self._repository.git.where}.")
        close = nearest(name[:60], [each for each in known if len(each) <= 60])
        if close:
            raise NotFound(f"there is no model {name[:200]}; did you mean {close}?")
        rest = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
        raise NotFound(f"there is no model {name[:200]}; there is {', '.join(known[:_NAMED])}{rest}.")

    # ------------------------------------------------------------ versions

    def versions(self, name: str, *, at: str = START, limit: int = 100) -> Page[ModelVersion]:
        seen = self._repository.look()
        kept = self._kept(seen, name)
        active = kept.ledger.active if kept.ledger.there else []
        page = cut(active, at, limit, name=lambda each: self._numbering.outside(each.version))
        return self._dated(_page(page, self._versions.of(pairs(name, kept, page.items))), seen)

    def version(self, model: str, version: str) -> ModelVersion:
        kept = self._kept(self._repository.look(), model)
        return self._versions.of([(model, kept, self._registered(model, kept, version))])[0]

    def _registered(self, model: str, kept: Kept, version: str) -> Registered:
        """The version by its number or by `@alias`; NotFound says what there is."""
        known = kept.ledger
        outside = self._numbering.outside
        active = known.active if known.there else []
        if version.startswith("@"):
            aliases = known.aliases if known.there else {}
            if version[1:] not in aliases:
                listed = ", ".join(aliases) or "none"
                raise NotFound(f"model {model} has no alias {version[1:][:200]}; it has {listed}.")
            wanted = aliases[version[1:]]
        else:
            wanted = self._numbering.inside(version)
        found = next((each for each in active if each.version == wanted), None)
        if found is None:
            there = outside(active[0].version) if active else "none"
            more = f"{len(active)} up to {there}" if len(active) > 1 else there
            gone = known.versions.get(wanted)
            was = "; it was there, and was taken away" if gone is not None else ""
            raise NotFound(f"model {model} has no version {version[:100]}{was}; it has {more}.")
        return found

    def holders(self, models: Sequence[Model], alias: str) -> dict[str, ModelVersion]:
        seen = self._repository.look()
        wanted = []
        for model in models:
            kept = seen.models.get(model.name)
            held = kept.ledger.aliases.get(alias) if kept is not None and kept.ledger.there else None
            if kept is not None and held is not None:
                wanted.append((model.name, kept, kept.ledger.versions[held]))
        return {version.model: version for version in self._versions.of(wanted)}

    def search(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[ModelVersion]:
        seen = self._repository.look()
        found = [
            (name, kept, each)
            for name, kept in seen.models.items()
            if kept.ledger.there and kind in ("", kept.said.kind)
            for each in kept.ledger.active
        ]
        found.sort(key=lambda each: -each[2].at)
        if query is None or (query.where is None and not query.order):
            page = cut(found, at, limit, name=lambda each: f"{each[0]}@{self._numbering.outside(each[2].version)}")
            return self._dated(_page(page, self._versions.of(page.items)), seen)
        whole = self._versions.of(found)
        return self._dated(cut(select(query, whole), at, limit, name=lambda version: version.ref), seen)

    def of_run(self, run: str) -> tuple[tuple[str, VersionRecord], ...]:
        """(commit, record) of each version that this run became, also of those that were taken away."""
        found = []
        for kept in self._repository.look().models.values():
            for each in kept.ledger.versions.values():
                if each.change is not None and each.change.after.get("run") == run:
                    record = self._versions.record(each)
                    if record is not None and record.run == run:
                        found.append((each.commit, record))
        return tuple(found)

    def registered(self) -> dict[str, str]:
        """Run → the version that it became, of those that are there."""
        found = [
            (name, kept, each)
            for name, kept in self._repository.look().models.items()
            if kept.ledger.there
            for each in kept.ledger.active
        ]
        return {version.run: version.ref for version in self._versions.of(found) if version.run}

    # ------------------------------------------------------------ history

    def history(self, model: str, *, alias: str = "", limit: int = 1000) -> tuple[AliasMove, ...]:
        seen = self._repository.look()
        kept = self._kept(seen, model)
        moves = [move for name in (*kept.said.was, model) for move in seen.get(name).ledger.moves]
        if kept.said.was:  # an alias that went along did not move
            moves = [move for move in moves if move.action != "rename"]
            moves.sort(key=lambda move: move.at)
        found = [self._outside(model, move) for move in reversed(moves) if alias in ("", move.alias)][:limit]
        return tuple(found)

    def _outside(self, model: str, move: AliasMove) -> AliasMove:
        outside = self._numbering.outside
        return msgspec.structs.replace(
            move,
            model=model,
            version=None if move.version is None else outside(move.version),
            previous=None if move.previous is None else outside(move.previous),
            entry=self._state.entry(move.entry),
        )


def _page(
    page: Page[tuple[str, Kept, Registered]] | Page[Registered], items: tuple[ModelVersion, ...]
) -> Page[ModelVersion]:
    return Page(items=items, next=page.next, previous=page.previous, first=page.first, total=page.total)
