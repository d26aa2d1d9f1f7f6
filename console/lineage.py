"""Where something comes from and what was made from it, as a tree: source → versions → runs → model versions → what
serves them. Asks the contract only; what a backend does not keep is left out and said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from backends.contract import Backend, BackendError, NotFound, Unsupported, all_pages
from backends.entities import DatasetInput, DatasetVersion, ModelVersion, Record, Run
from backends.query import Compare, Key, Query
from console.wording import plural

DEPTH = 8
BREADTH = 20
SCANNED = 20_000
"""Dataset versions among which those made from one are looked for."""


class Node(Record, frozen=True, kw_only=True):
    """One thing of a lineage; its `children` are one step further from the subject."""

    kind: str
    """`dataset`, `run`, `model`, `alias`, `monitor`, `definition`, `source`, `code`; `more` stands for what was cut."""
    name: str
    detail: str = ""
    children: tuple[Node, ...] = ()


class Lineage(Record, frozen=True, kw_only=True):
    subject: Node
    up: tuple[Node, ...] = ()
    """What it was made from."""
    down: tuple[Node, ...] = ()
    """What was made from it."""
    notes: tuple[str, ...] = ()
    """What could not be followed, and why."""


def lineage(
    backend: Backend, ref: str, *, up: bool = True, down: bool = True, depth: int = DEPTH, breadth: int = BREADTH
) -> Lineage:
    """The lineage of a dataset version, a run or a model version.

    `ref` is `name@version` (or a name: its latest) of a dataset or a model, `model@alias`, or a run's id; with
    `dataset:`, `model:` or `run:` before it only that is looked for. NotFound where it is none of them.
    """
    walk = _Walk(backend, depth, breadth)
    subject = walk.resolve(ref)
    above = walk.follow(subject, walk.up) if up else ()
    below = walk.follow(subject, walk.down) if down else ()
    return Lineage(subject=walk.node(subject), up=above, down=below, notes=tuple(walk.notes))


def tree_lines(nodes: Sequence[Node], indent: str = "") -> Iterator[tuple[str, Node]]:
    """Every node with the strokes that lead to it."""
    for place, node in enumerate(nodes):
        last = place == len(nodes) - 1
        yield indent + ("└─ " if last else "├─ "), node
        yield from tree_lines(node.children, indent + ("   " if last else "│  "))


Steps = Callable[[Any], Iterator[Any]]


class _Walk:
    """One question: what was found already is not asked for again."""

    def __init__(self, backend: Backend, depth: int, breadth: int) -> None:
        self._backend = backend
        self._depth = depth
        self._breadth = breadth
        self._made: dict[str, list[DatasetVersion]] | None = None
        self.notes: dict[str, None] = {}

    # ------------------------------------------------------------ what it is

    def resolve(self, ref: str) -> DatasetVersion | Run | ModelVersion:
        kind, colon, name = ref.partition(":")
        kinds = (kind,) if colon and kind in ("dataset", "model", "run") else ("dataset", "model", "run")
        if len(kinds) > 1:
            name = ref
        looks = {"dataset": self._dataset, "model": self._model, "run": self._run}
        for each in kinds:
            with contextlib.suppress(NotFound, Unsupported):
                found = looks[each](name)
                if found is not None:
                    return found
        raise NotFound(
            f"{ref}: no dataset version, model version or run of this name. Name it as NAME@VERSION, MODEL@ALIAS or by "
            "the id of a run."
        )

    def _dataset(self, ref: str) -> DatasetVersion | None:
        store = self._backend.datasets
        return store.version(ref) if store is not None else None

    def _run(self, ref: str) -> Run | None:
        return self._backend.runs.get(ref) if self._backend.runs is not None else None

    def _model(self, ref: str) -> ModelVersion | None:
        registry = self._backend.registry
        if registry is None:
            return None
        name, at, version = ref.rpartition("@")
        if not at:
            name, version = ref, registry.get(ref).latest
        try:
            return registry.version(name, version)
        except BackendError:
            return registry.version(name, f"@{version}")

    def node(self, thing: Any, children: tuple[Node, ...] = ()) -> Node:
        match thing:
            case DatasetVersion():
                return Node(kind="dataset", name=thing.ref, detail=plural(thing.rows, "row"), children=children)
            case Run():
                named = f"{thing.name} {thing.id[:8]}".strip()
                return Node(kind="run", name=named, detail=str(thing.status), children=children)
            case ModelVersion():
                held = ", ".join(sorted(thing.aliases))
                return Node(kind="model", name=thing.ref, detail=held, children=children)
            case Node():
                return thing
        raise TypeError(f"{type(thing).__name__} has no lineage")

    # ------------------------------------------------------------ going on

    def follow(self, thing: Any, steps: Steps, path: tuple[str, ...] = ()) -> tuple[Node, ...]:
        """What is one step on, each with what is beyond it."""
        path = (*path, _name(thing))
        found: list[Node] = []
        more, at_least = 0, ""
        for each in steps(thing):
            if len(found) >= self._breadth:
                if isinstance(each, Node) and each.kind == "more":
                    at_least = "at least "
                else:
                    more += 1
                continue
            if isinstance(each, Node):
                found.append(each)
            elif _name(each) in path:
                found.append(Node(kind="more", name=f"{_name(each)} again", detail="it is above"))
            elif len(path) >= self._depth:
                found.append(self.node(each, (Node(kind="more", name="…", detail="deeper"),)))
            else:
                found.append(self.node(each, self.follow(each, steps, path)))
        if more:
            found.append(Node(kind="more", name=f"… {at_least}{more:,} more"))
        return tuple(found)

    def up(self, thing: Any) -> Iterator[Any]:
        match thing:
            case DatasetVersion():
                if thing.made_by:
                    yield Node(kind="definition", name=thing.made_by)
                parents = [ref for ref in (thing.parent, *thing.inputs) if ref]
                for ref in dict.fromkeys(parents):
                    yield self._version(ref)
                if not parents and thing.source:
                    yield Node(kind="source", name=thing.source)
            case Run():
                yield from self._inputs(thing.inputs)
                code = thing.source
                if code.entry or code.commit:
                    dirty = " with changes" if code.dirty else ""
                    yield Node(kind="code", name=code.entry or code.repo or "code", detail=f"{code.commit[:12]}{dirty}")
            case ModelVersion():
                run = None
                if thing.run:
                    with contextlib.suppress(BackendError):
                        run = self._run(thing.run)
                if run is not None:
                    yield run
                    return
                if thing.run:
                    yield Node(kind="run", name=thing.run, detail="no longer there")
                yield from self._inputs(thing.inputs)
                if thing.source and not thing.run:
                    yield Node(kind="source", name=thing.source)

    def _version(self, ref: str) -> Any:
        try:
            found = self._dataset(ref)
        except BackendError:
            found = None
        return found if found is not None else Node(kind="dataset", name=ref, detail="no longer there")

    def _inputs(self, inputs: Sequence[DatasetInput]) -> Iterator[Any]:
        for each in inputs:
            found = None
            with contextlib.suppress(BackendError):
                found = self._dataset(each.digest) if each.digest else None
            where = each.source or f"digest {each.digest[:12]}"
            name = f"{each.dataset}@{each.version}"
            yield found if found is not None else Node(kind="dataset", name=name, detail=f"not kept here: {where}")

    def down(self, thing: Any) -> Iterator[Any]:
        match thing:
            case DatasetVersion():
                yield from self._made_from(thing.ref)
                digest = Compare(Key("dataset", "digest"), "=", thing.digest)
                yield from self._listed("runs", Query(where=digest))
            case Run():
                yield from self._listed("registry", Query(where=Compare(Key("attribute", "run"), "=", thing.id)))
            case ModelVersion():
                for alias in sorted(thing.aliases):
                    watching = tuple(
                        Node(kind="monitor", name=monitor.name, detail=str(monitor.state))
                        for monitor in self._monitors()
                        if monitor.model == thing.model and monitor.alias == alias
                    )
                    yield Node(kind="alias", name=f"{thing.model}@{alias}", detail="callers get it", children=watching)

    def _listed(self, capability: str, query: Query) -> Iterator[Any]:
        """Of runs or model versions those that match; past the breadth they are only counted, a page long."""
        store = getattr(self._backend, capability)
        if store is None:
            self.notes.setdefault(f"{capability}: {self._backend.missing.get(capability, 'not kept here')}")
            return
        ask = store.page if capability == "runs" else store.search
        try:
            page = ask(query, limit=1000)
        except BackendError as error:
            self.notes.setdefault(f"{capability}: {error}")
            return
        yield from page.items
        if page.next is not None:
            yield Node(kind="more", name="…", detail="and more")

    def _monitors(self) -> Sequence[Any]:
        if self._backend.monitors is None:
            return ()
        return tuple(all_pages(lambda at: self._backend.need("monitors").page(at=at)))

    def _made_from(self, ref: str) -> list[DatasetVersion]:
        if self._made is None:
            self._made = {}
            for version in self._versions():
                for origin in {version.parent, *version.inputs} - {""}:
                    self._made.setdefault(origin, []).append(version)
        return self._made.get(ref, [])

    def _versions(self) -> Iterator[DatasetVersion]:
        store = self._backend.datasets
        if store is None:
            return
        seen = 0
        for dataset in all_pages(lambda at: store.page(at=at, limit=1000)):
            name = dataset.name
            for version in all_pages(lambda at, name=name: store.versions(name, at=at, limit=1000)):  # type: ignore[misc]
                seen += 1
                if seen > SCANNED:
                    self.notes.setdefault(f"only {SCANNED:,} dataset versions were looked at")
                    return
                yield version


def _name(thing: Any) -> str:
    return f"run {thing.id}" if isinstance(thing, Run) else f"{type(thing).__name__} {thing.ref}"
