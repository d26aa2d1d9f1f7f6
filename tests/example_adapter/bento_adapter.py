"""BentoML's model store, a folder of files, as a registry: `bento+file:///home/me/bentoml/models`.

    models/churn/latest                  the version that is used where none is named: the alias `latest`
    models/churn/3vl5n7qk/model.yaml     one version: labels are tags, metadata parameters
    models/churn/3vl5n7qk/saved_model.*  its file

Models and versions are read. The one thing that is changed is `latest`, compared before it is set, and written down in
the journal of the sidecar; everything else that a console wants (runs, data, monitors, …) is the sidecar's.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import msgspec
import yaml

from backends.alias_changes import action_of, changes_in, check_changes, check_moves, ends, moves_of
from backends.contract import Backend, Conflict, Invalid, Journal, Mutation, NotFound, Page, Unreachable, Unsupported
from backends.entities import AliasChange, AliasMove, JournalEntry, Model, ModelFile, ModelVersion
from backends.listing import cut
from backends.login import Login
from backends.query import Compare, Key, Query, select

LATEST = "latest"


def open_bento(name: str, url: str, sidecar: Backend, login: Login, options: Mapping[str, str]) -> Backend:
    """The entry point. Nothing is looked at yet: a folder that is away is no error before somebody asks."""
    parts = urlsplit(url.removeprefix("bento+"))
    if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
        raise Invalid(f"context {name}: bento+file:///path/to/models is wanted, not {url}", "url")
    root = Path(unquote(parts.path))

    def changed() -> object:
        """A few looks at the file system: a version comes with its folder, `latest` is a file of its own."""
        found = [path.stat().st_mtime_ns for path in (root, *root.glob("*"), *root.glob("*/latest")) if path.exists()]
        return sidecar.changed(), len(found), max(found, default=0)

    return msgspec.structs.replace(
        sidecar,
        name=name,
        url=url,
        registry=BentoRegistry(root, sidecar.need("journal")),
        features=msgspec.structs.replace(sidecar.features, compare_and_set=True, delete=False),
        missing={"registering": "bentoml puts models there", f"aliases but {LATEST}": "BentoML knows no other"},
        changed=changed,
    )


class BentoRegistry:
    """`ModelRegistry` over the folder."""

    def __init__(self, root: Path, journal: Journal) -> None:
        self._root = root
        self._journal = journal

    def page(self, query: Query | None = None, *, at: str = "", limit: int = 100, kind: str = "model") -> Page[Model]:
        models = self._models() if kind in ("", "model") else ()
        return cut(select(query, models), at, limit, name=lambda model: model.name)

    def get(self, name: str) -> Model:
        return self._model(self._folder(name))

    def versions(self, name: str, *, at: str = "", limit: int = 100) -> Page[ModelVersion]:
        return cut(self._versions(self._folder(name)), at, limit, name=lambda version: version.version)

    def version(self, model: str, version: str) -> ModelVersion:
        folder = self._folder(model)
        wanted = _latest(folder) if version == f"@{LATEST}" else version
        for found in self._versions(folder):
            if found.version == wanted:
                return found
        raise NotFound(f"model {model} has no version {version}; its newest is {self.get(model).latest or 'none'}.")

    def holders(self, models: Sequence[Model], alias: str) -> dict[str, ModelVersion]:
        return {each.name: self.version(each.name, f"@{alias}") for each in models if alias in each.aliases}

    def search(
        self, query: Query | None = None, *, at: str = "", limit: int = 100, kind: str = "model"
    ) -> Page[ModelVersion]:
        found = [version for model in self._models() for version in self._versions(self._folder(model.name))]
        found.sort(key=lambda version: -version.created_at)
        return cut(select(query, found if kind != "prompt" else []), at, limit, name=lambda version: version.ref)

    def history(self, model: str, *, alias: str = "", limit: int = 1000) -> tuple[AliasMove, ...]:
        self._folder(model)
        moves = [move for entry in self._entries(model, limit) for move in _moves(model, entry)]
        return tuple(move for move in moves if alias in ("", move.alias))[:limit]

    def _entries(self, model: str, limit: int = 1000) -> Sequence[JournalEntry]:
        return self._journal.page(Query(where=Compare(Key("attribute", "target"), "=", model)), limit=limit).items

    def _models(self) -> Iterator[Model]:
        try:
            folders = sorted(each for each in self._root.iterdir() if each.is_dir())
        except OSError as error:
            raise Unreachable(f"{self._root}: {error.strerror}; is the disk there?") from error
        return (self._model(folder) for folder in folders)

    def _model(self, folder: Path) -> Model:
        versions, latest = self._versions(folder), _latest(folder)
        return Model(
            name=folder.name,
            created_at=versions[-1].created_at if versions else 0,
            updated_at=versions[0].created_at if versions else 0,
            versions=len(versions),
            latest=versions[0].version if versions else "",
            aliases={LATEST: latest} if latest else {},
            tags=versions[0].tags if versions else {},
        )

    def _folder(self, name: str) -> Path:
        """Of a model. No name leads out of the store."""
        folder = self._root / name
        if not name or folder.parent != self._root or name in (".", "..") or not folder.is_dir():
            self._models()  # Unreachable, where the whole store is away
            raise NotFound(f"there is no model {name} in {self._root}.")
        return folder

    def _versions(self, folder: Path) -> list[ModelVersion]:
        """Newest first."""
        latest = _latest(folder)
        found = [_version(folder.name, each, latest) for each in folder.glob("*/model.yaml")]
        return sorted(found, key=lambda version: (-version.created_at, version.version))

    def set_alias(
        self, model: str, alias: str, version: str | None, *, expected: str | None, mutation: Mutation
    ) -> AliasMove:
        change = AliasChange(alias=alias, version=version, expected=expected)
        return self.set_aliases(model, [change], mutation=mutation)[0]

    def set_aliases(self, model: str, changes: Sequence[AliasChange], *, mutation: Mutation) -> tuple[AliasMove, ...]:
        change, *others = check_changes(changes)
        if others or change.alias != LATEST or change.version is None:
            raise Unsupported(f"BentoML knows one alias, {LATEST}, and it names a version; nothing was changed")
        folder = self._folder(model)
        with (self._root / ".console.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for entry in self._entries(model) if mutation.key else ():
                if entry.key == mutation.key:
                    return _moves(model, entry)  # done already: the same answer again
            check_moves(model, changes)
            self.version(model, change.version)  # NotFound before anything is done
            now = _latest(folder) or None
            if now != change.expected:
                raise Conflict(
                    f"{LATEST} of {model} is at {now}, not {change.expected}; nothing was changed. Look again."
                )
            fresh = folder / ".latest.new"
            fresh.write_text(change.version)
            fresh.replace(folder / LATEST)
            before, after = ends(model, changes)
            made = self._journal.record(action_of(changes), model, mutation, before=before, after=after)
        return _moves(model, made)

    def _not_here(self, *_: object, **__: object) -> NoReturn:
        raise Unsupported("models come into this store, and leave it, by bentoml itself; nothing was changed")

    create = rename = delete = delete_version = register = set_note = set_tags = _not_here


def _moves(model: str, entry: JournalEntry) -> tuple[AliasMove, ...]:
    said = Mutation(entry.actor, entry.reason)
    return moves_of(model, changes_in(entry), said, action=entry.action, entry=entry.id, at=entry.at)


def _latest(folder: Path) -> str:
    try:
        return (folder / LATEST).read_text().strip()
    except FileNotFoundError:
        return ""


def _version(model: str, file: Path, latest: str) -> ModelVersion:
    """What model.yaml says. A broken one is told as a version with that note: one bad file hides no others."""
    said: dict[str, Any] = {}
    try:
        said, trouble = dict(yaml.safe_load(file.read_text()) or {}), ""
    except (yaml.YAMLError, OSError, ValueError) as error:
        trouble = f"model.yaml cannot be read: {error}"
    made = said.get("creation_time") or datetime.fromtimestamp(file.stat().st_mtime, UTC)
    at = made if isinstance(made, datetime) else datetime.fromisoformat(made)
    saved = next(iter(sorted(file.parent.glob("saved_model.*"))), None)
    return ModelVersion(
        model=model,
        version=file.parent.name,
        created_at=int(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000),
        file=ModelFile(path=saved.name, bytes=saved.stat().st_size, format=saved.suffix[1:]) if saved else ModelFile(),
        params={str(key): str(value) for key, value in (said.get("metadata") or {}).items()},
        tags={str(key): str(value) for key, value in (said.get("labels") or {}).items()},
        aliases=(LATEST,) if file.parent.name == latest else (),
        note=trouble,
        source=f"file://{file.parent}",
    )
