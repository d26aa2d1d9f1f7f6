"""Versions as the console shows them: of its own ones the record in their commit tells, of others what git knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from backends.entities import DatasetInput, Model, ModelFile, ModelVersion, Signature
from backends.gto.ledger import Registered
from backends.gto.names import Numbering
from backends.gto.repository import Kept, Repository

INDEX: Final = "artifacts.yaml"
"""Where GTO writes down what is at which path."""
OWNER: Final = "git:"
"""Before a commit: the owner of files that lie in it."""
_FORMATS: Final = {
    ".skops": "skops", ".onnx": "onnx", ".pkl": "pickle", ".pickle": "pickle", ".joblib": "pickle",
}  # fmt: skip
_BIG: Final = 1_000_000


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What no tag says of a version; a file in its commit."""

    id: str = ""
    """Makes the commit one of its own: a stage is assigned to a commit, and so each version needs another."""
    run: str = ""
    created_by: str = ""
    file: ModelFile = ModelFile()
    signature: Signature = Signature()
    metrics: dict[str, float | str] = {}
    """A number that JSON has no word for is a text."""
    params: dict[str, str] = {}
    inputs: tuple[DatasetInput, ...] = ()
    tags: dict[str, str] = {}
    note: str = ""
    source: str = ""
    logged_model: str = ""
    files: dict[str, str] = {}
    """Path within the run → path within the commit, of what lies in git."""


class Versions:
    """Of one repository."""

    def __init__(self, repository: Repository, numbering: Numbering) -> None:
        self._repository = repository
        self._numbering = numbering
        self._indexes: dict[str, dict[str, Any]] = {}

    def model(self, name: str, kept: Kept) -> Model:
        known, said = kept.ledger, kept.said
        there = known.there
        active = known.active if there else []
        outside = self._numbering.outside
        first = min((each.at for each in known.versions.values()), default=0)
        by = min(known.versions.values(), key=lambda each: each.at).actor if known.versions else ""
        return Model(
            name=name,
            created_at=said.created_at or first,
            created_by=said.created_by or by,
            updated_at=max(said.updated_at, known.steps[-1].at if known.steps else 0),
            versions=len(active),
            latest=outside(active[0].version) if active else "",
            aliases={alias: outside(version) for alias, version in known.aliases.items()} if there else {},
            note=said.note,
            tags=said.tags,
            kind=said.kind,
        )

    def of(self, wanted: Sequence[tuple[str, Kept, Registered]]) -> tuple[ModelVersion, ...]:
        """Each of them whole, with one question for all."""
        places = [_place(each) for _, _, each in wanted]
        content = self._repository.files(places)
        made = []
        for (model, kept, each), place in zip(wanted, places, strict=True):
            version = self._ours(model, each, content[place]) if record_of(each) else None
            made.append(self._with_words(version or self._foreign(model, each, place, content[place]), kept, each))
        return tuple(made)

    def record(self, each: Registered) -> VersionRecord | None:
        """What lies in the version's commit, where the console registered it."""
        if not record_of(each):
            return None
        place = _place(each)
        return _decoded(self._repository.files([place])[place])

    def _with_words(self, version: ModelVersion, kept: Kept, each: Registered) -> ModelVersion:
        words = kept.said.versions.get(each.version)
        aliases = tuple(alias for alias, held in kept.ledger.aliases.items() if held == each.version)
        return msgspec.structs.replace(
            version,
            aliases=aliases,
            note=version.note if words is None or words.note is None else words.note,
            tags=version.tags if words is None or words.tags is None else words.tags,
        )

    def _ours(self, model: str, each: Registered, content: bytes | None) -> ModelVersion | None:
        said = _decoded(content)
        if said is None:
            return None
        return ModelVersion(
            model=model,
            version=self._numbering.outside(each.version),
            created_at=each.at,
            created_by=said.created_by or each.actor,
            run=said.run,
            file=said.file,
            signature=said.signature,
            metrics={key: float(value) for key, value in said.metrics.items()},
            params=said.params,
            inputs=said.inputs,
            note=said.note,
            tags=said.tags,
            source=said.source,
            logged_model=said.logged_model,
        )

    def _foreign(self, model: str, each: Registered, place: str, content: bytes | None) -> ModelVersion:
        entry = self._index(place, content).get(model)
        entry = entry if isinstance(entry, dict) else {}
        path, kind, note = (entry.get(key) for key in ("path", "type", "description"))
        labels = entry.get("labels")
        tags = {"type": kind} if isinstance(kind, str) and kind else {}
        if isinstance(labels, list) and labels:
            tags["labels"] = ", ".join(str(label) for label in labels[:100])
        return ModelVersion(
            model=model,
            version=self._numbering.outside(each.version),
            created_at=each.at,
            created_by=each.actor,
            file=self._file(each.commit, path.strip("/")) if isinstance(path, str) and path else ModelFile(),
            note=note if isinstance(note, str) and note else each.reason,
            tags=tags,
            source=f"git:{each.commit}",
        )

    def _file(self, commit: str, path: str) -> ModelFile:
        """A file at this path of the commit; of a folder the one in it that can be a model."""
        from backends.gto.files import in_commit

        found = in_commit(self._repository, commit, path)
        known = [name for name in found if _format(name)]
        best = path if path in found else min(known, key=lambda name: (_format(name) != "skops", name), default=path)
        return ModelFile(bytes=found.get(best, 0), path=best, format=_format(best) or "other", owner=f"{OWNER}{commit}")

    def _index(self, place: str, content: bytes | None) -> Mapping[str, Any]:
        if content is None or len(content) > _BIG:
            return {}
        if place not in self._indexes:
            if len(self._indexes) > 5_000:
                self._indexes.clear()
            self._indexes[place] = read_index(content)
        return self._indexes[place]


def read_index(content: bytes) -> dict[str, Any]:
    """What an artifacts.yaml says; nothing where it is no such file."""
    import yaml  # 20 ms: only where somebody else registered a version

    try:
        found = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def pairs(model: str, kept: Kept, versions: Iterable[Registered]) -> list[tuple[str, Kept, Registered]]:
    return [(model, kept, each) for each in versions]


def record_of(each: Registered) -> str:
    """Path of the version's record in its commit; empty where others registered it."""
    change = each.change
    return "" if change is None else change.record or change.records.get(each.version, "")


def _place(each: Registered) -> str:
    return f"{each.commit}:{record_of(each) or INDEX}"


def _decoded(content: bytes | None) -> VersionRecord | None:
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=VersionRecord)
    except msgspec.DecodeError:
        return None


def _format(path: str) -> str:
    return next((kind for ending, kind in _FORMATS.items() if path.endswith(ending)), "")
