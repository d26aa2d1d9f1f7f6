"""The registry of an MLflow server: models, versions, and aliases with what MLflow never keeps of their moves."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from backends.alias_changes import check_changes
from backends.contract import START, BackendError, Conflict, Mutation, NotFound, Page
from backends.entities import (
    AliasChange,
    AliasMove,
    DatasetInput,
    Model,
    ModelFile,
    ModelVersion,
    Signature,
)
from backends.listing import cut
from backends.mlflow import decode, names
from backends.mlflow.client_aliases import MlflowAliases
from backends.mlflow.client_artifacts import MlflowArtifacts
from backends.mlflow.client_pages import RunPages
from backends.mlflow.client_room import Room, check_name, check_unicode, check_value
from backends.mlflow.client_versions import Versions
from backends.mlflow.sending import PARALLEL
from backends.mlflow.words import quoted
from backends.query import And, Compare, Key, Query, select
from backends.remote.state import now
from backends.together import Same, both

_MOST: Final = 10_000
"""Models or versions that are looked at for one list."""
_ASKED: Final = 50
"""Models or versions that are asked for one by one, where lists do not tell enough."""
_ASKED_S: Final = 30.0
_LATELY_S: Final = 1.0
_ANEW_S: Final = 5.0
"""One deed asks for the history of a model several times."""
LISTED: Final = 1_000
"""A history of more moves is not only looked at, and is read anew."""
HEAVY: Final = 150_000
"""Bytes of one page of models."""
_TAG: Final = 5_000
_NAME: Final = Key("attribute", "name")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_. -]+")
"""What MLflow's grammar quotes as it is, and compares as we do."""
_PROMPTS: Final = f"tags.`{names.IS_PROMPT}` = 'true'"


class MlflowRegistry:
    """`ModelRegistry` over the protocol."""

    def __init__(self, room: Room, artifacts: MlflowArtifacts, pages: RunPages) -> None:
        self._room = room
        self._artifacts = artifacts
        self._flavour = room.transport.flavour
        self._kept = Versions(room, pages)
        self._whole_lately: dict[str, tuple[float, int, Model]] = {}
        self.aliases = MlflowAliases(
            room,
            change=self._change,
            told=self._told,
            forget=self._kept.forget,
            version=lambda model, number: self._version(model, number).version,
        )
        self._lately: dict[str, tuple[float, int, Model]] = {}
        """Models that a list or history has just told of: what is read of one right after need not ask for it again."""
        self._history_of: dict[str, dict[str, str]] = {}
        """Who held which alias when a model's history was read."""
        self._same = Same()
        self._kinds: dict[str, str] = {}
        self._weight = 0.0
        """Bytes of a model in a list, of late."""

    # ------------------------------------------------------------ reading

    def page(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[Model]:
        plain = query is None or (query.where is None and not query.order)
        if plain and kind == "model" and (at == START or at.startswith("token:")) and not self._whole_list(limit):
            return self._plain(at.removeprefix("token:"), limit)
        found: list[Model] = []
        named = self._named(query)
        if kind in ("", "model"):
            found += self._models(named)
        if kind in ("", "prompt") and "prompts" not in self._flavour.lacks:
            found += self._models(" AND ".join(filter(None, (_PROMPTS, named))))
        found.sort(key=lambda model: model.name)
        page = cut(select(query, found), at, limit, name=lambda model: model.name)
        return page if self._flavour.whole_lists else self._whole(page)

    def _whole(self, page: Page[Model]) -> Page[Model]:
        """With what only asking for each model tells: aliases, tags, the newest version."""
        few, rest = page.items[:_ASKED], page.items[_ASKED:]
        from concurrent.futures import ThreadPoolExecutor  # only for lists that tell too little

        with ThreadPoolExecutor(PARALLEL, "models") as workers:
            items = (*workers.map(self._asked_for, [each.name for each in few]), *rest)
        return msgspec.structs.replace(page, items=items, note=f"aliases of the first {_ASKED}" if rest else page.note)

    def _asked_for(self, name: str) -> Model:
        """Not more often than twice a minute: there is one question, or two, for each row of a list."""
        at, changes, told = self._whole_lately.get(name, (0.0, -1, None))
        if told is None or changes != self._room.changes or time.monotonic() - at > _ASKED_S:
            told = self._get(name)
            raw, _ = self._kept.newest(_those_of(name, told.kind), name, _MOST)
            newest = max((decode.integer(each.get("version")) or 0 for each in raw), default=0)
            told = msgspec.structs.replace(told, versions=newest, latest=str(newest) if newest else "")
            self._whole_lately[name] = (time.monotonic(), self._room.changes, told)
        return told

    def _whole_list(self, limit: int) -> bool:
        """Where so many are wanted, or the server sorts by something else, all are read."""
        return limit > 100 or not self._flavour.whole_lists or limit > self._flavour.most

    def _plain(self, token: str, limit: int) -> Page[Model]:
        """The server's own page, by name."""
        if self._weight * limit > HEAVY:
            limit = max(5, int(HEAVY / self._weight))
        found, following = self._search_models("", limit, token)
        return Page(items=tuple(found), next=f"token:{following}" if following else None, first=None if token else 0)

    def _named(self, query: Query | None) -> str:
        """In MLflow's words what the query says of names, which leaves out none that is meant; the rest is looked
        through here. Our own server and those that take no filter are asked for all."""
        if query is None or query.where is None or not self._flavour.whole_lists or self._room.server.own:
            return ""
        said = []
        for node in query.where.nodes if isinstance(query.where, And) else (query.where,):
            if isinstance(node, Compare) and node.key == _NAME and _PLAIN.fullmatch(str(node.value)):
                said.append({"~": f"name ILIKE '%{node.value}%'", "=": f"name = '{node.value}'"}.get(node.op, ""))
        return " AND ".join(filter(None, said))

    def _models(self, filter_: str) -> Iterable[Model]:
        token, seen = "", 0
        while seen < _MOST:
            found, token = self._search_models(filter_, min(1_000, self._flavour.most), token)
            seen += len(found)
            yield from found
            if not token:
                return

    def _search_models(self, filter_: str, limit: int, token: str) -> tuple[list[Model], str]:
        params = {"filter": filter_, "max_results": limit, "page_token": token}
        changes = self._room.changes
        answer = self._room.transport.get("registered-models/search", params)
        raw = answer.get("registered_models", ())
        if raw:
            self._weight = max(len(msgspec.json.encode(answer)) / len(raw), self._weight * 0.9)
        found = [decode.model(each) for each in raw]
        for model in found:
            self._kinds[model.name] = model.kind
            if not self._flavour.whole_lists:
                continue
            self.aliases.notice_answer(model, answer, changes)
            self._lately[model.name] = (time.monotonic(), changes, model)
        return found, str(answer.get("next_page_token", ""))

    def get(self, name: str) -> Model:
        self._lately.pop(name, None)
        return self._get(name)

    def _get(self, name: str) -> Model:
        if not name:
            raise NotFound("there is no model of an empty name.")
        at, changes, told = self._lately.get(name, (0.0, -1, None))
        if told is not None and changes == self._room.changes and time.monotonic() - at < _LATELY_S:
            return told
        return self._same.ask((name, self._room.changes), lambda: self._ask(name))

    def _ask(self, name: str) -> Model:
        changes = self._room.changes
        try:
            answer = self._room.transport.get("registered-models/get", {"name": name})
        except NotFound:
            raise NotFound(f"there is no model {name}{self._near(name)}") from None
        found = decode.model(answer["registered_model"])
        self._kinds[name] = found.kind
        self.aliases.notice_answer(found, answer, changes)
        return found

    def _near(self, name: str) -> str:
        from backends.query_keys import nearest

        try:
            known = [model.name for model in self.page(limit=1_000).items if len(model.name) <= 60]
        except BackendError:
            return "."
        close = nearest(name[:60], known)
        return f"; did you mean {close}?" if close else "; there is no model yet." if not known else "."

    def versions(self, name: str, *, at: str = START, limit: int = 100) -> Page[ModelVersion]:
        """Who holds which alias is as it is now, and so are the newest; see `client_versions` for the others."""
        most, anew, kind = _reaching(at, limit), at == START, self._kinds.get(name)
        if kind is None:
            model = self._get(name)
            raw, more = self._kept.newest(_those_of(name, model.kind), name, most, anew=anew)
        else:
            model, (raw, more) = both(
                lambda: self._get(name), lambda: self._kept.newest(_those_of(name, kind), name, most, anew=anew)
            )
        found = [decode.version(each, model.aliases) for each in raw]
        page = cut(found, at, limit, name=lambda version: version.version)
        if more and page.next is None and found:
            page = msgspec.structs.replace(page, next=f">{len(found)}~{found[-1].version}", total=None)
        return msgspec.structs.replace(page, items=self._kept.with_runs(page.items))

    def holders(self, models: Sequence[Model], alias: str) -> dict[str, ModelVersion]:
        return self._kept.holders(models, alias)

    def search(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[ModelVersion]:
        held = {model.name: model.aliases for model in self.page(limit=_MOST, kind="").items}
        found: list[ModelVersion] = []
        if not self._flavour.whole_lists:
            for name in list(held)[:_ASKED]:
                found += self._versions(f"name = {quoted(name)}", held)
        elif kind in ("", "model"):
            found += self._versions("", held)
        if kind in ("", "prompt") and "prompts" not in self._flavour.lacks:
            found += self._versions(_PROMPTS, held)
        found.sort(key=lambda version: (-version.created_at, version.model, -(decode.integer(version.version) or 0)))
        page = cut(select(query, found), at, limit, name=lambda version: version.ref)
        note = f"among {_MOST} versions" if len(found) >= _MOST else ""
        return msgspec.structs.replace(page, items=self._kept.with_runs(page.items), note=note)

    def _versions(self, filter_: str, aliases: Mapping[str, Mapping[str, str]]) -> list[ModelVersion]:
        """Newest first of each model."""
        found: list[ModelVersion] = []
        for each in self._raw_versions(filter_):
            found.append(decode.version(each, aliases.get(str(each.get("name", "")), {})))
        found.sort(key=lambda version: -(decode.integer(version.version) or 0))
        return found

    def _raw_versions(self, filter_: str) -> Iterable[dict[str, Any]]:
        token, seen = "", 0
        while seen < _MOST:
            params = {"filter": filter_, "max_results": self._flavour.most, "page_token": token}
            answer = self._room.transport.get("model-versions/search", params)
            items = answer.get("model_versions", ())
            seen += len(items)
            yield from items
            token = answer.get("next_page_token", "")
            if not token:
                return

    def version(self, model: str, version: str) -> ModelVersion:
        return self._version(model, version)

    def _version(self, model: str, version: str) -> ModelVersion:
        held = self._get(model)
        number = version
        if version.startswith("@"):
            if version[1:] not in held.aliases:
                listed = ", ".join(held.aliases) or "none"
                raise NotFound(f"model {model} has no alias {version[1:]}; it has {listed}.")
            number = held.aliases[version[1:]]
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise NotFound(f"model {model} has no version {version}; its newest is {held.latest or 'none'}.")
        try:
            raw = self._room.transport.get("model-versions/get", {"name": model, "version": number})["model_version"]
        except NotFound:
            raise NotFound(f"model {model} has no version {version}; its newest is {held.latest or 'none'}.") from None
        return self._kept.with_runs([decode.version(raw, held.aliases)])[0]

    # ------------------------------------------------------------ making and taking away

    def _change(self, method: str, path: str, body: dict[str, Any], *, repeatable: bool = False) -> dict[str, Any]:
        found = self._room.change(method, path, body, repeatable=repeatable)
        self._kept.forget(str(body["name"]))
        return found

    def create(
        self,
        model: str,
        mutation: Mutation,
        *,
        note: str = "",
        tags: dict[str, str] | None = None,
        kind: str = "model",
    ) -> Model:
        check_name("model", model, "model")
        if self._room.state.made_before("model.create", mutation) is None:
            self._make(model, mutation, note, dict(tags or {}), kind)
            self._room.record("model.create", model, mutation, after={"model": model})
            self._room.state.note("model.create", mutation)
        return self._get(model)

    def _make(self, model: str, mutation: Mutation, note: str, tags: dict[str, str], kind: str) -> None:
        if kind == "prompt":
            tags[names.IS_PROMPT] = "true"
        tags[names.CREATED_BY] = mutation.actor
        body = {"name": model, "description": note, "tags": _pairs(tags)}
        try:
            self._change("POST", "registered-models/create", body)
        except Conflict as error:
            raise Conflict(f"model {model} is there already; nothing was changed. Use it, or another name.") from error

    def rename(self, model: str, name: str, mutation: Mutation) -> Model:
        check_name("model", name)
        self._room.can("rename")
        if self._room.state.made_before("model.rename", mutation) is None:
            self._get(model)
            try:
                self._change("POST", "registered-models/rename", {"name": model, "new_name": name})
            except Conflict as error:
                raise Conflict(f"model {name} is there already; nothing was changed. Take another name.") from error
            self._room.state.renamed(model, name)
            self._room.record("model.rename", model, mutation, before={"name": model}, after={"name": name})
            self._room.state.note("model.rename", mutation)
        return self._get(name)

    def delete(self, model: str, mutation: Mutation) -> None:
        self._room.can("delete")
        if self._room.state.made_before("model.delete", mutation) is not None:
            return
        found = self._get(model)
        for alias, version in found.aliases.items():
            self._room.state.add_move(_taken(model, alias, version, mutation))
        self._change("DELETE", "registered-models/delete", {"name": model})
        self._room.state.forget(model)
        before = {"versions": found.versions, "aliases": found.aliases}
        self._room.record("model.delete", model, mutation, before=before)
        self._room.state.note("model.delete", mutation)

    def delete_version(self, model: str, version: str, mutation: Mutation) -> None:
        if self._room.state.made_before("model.delete_version", mutation) is not None:
            return
        found = self._version(model, version)
        self._change("DELETE", "model-versions/delete", {"name": model, "version": found.version})
        for alias in found.aliases:
            self._room.state.add_move(_taken(model, alias, found.version, mutation))
        before = {"run": found.run, "sha256": found.file.sha256, "aliases": found.aliases}
        self._room.record("model.delete_version", found.ref, mutation, before=before)
        self._room.state.note("model.delete_version", mutation)

    def register(
        self,
        model: str,
        *,
        run: str,
        file: ModelFile,
        signature: Signature,
        mutation: Mutation,
        metrics: dict[str, float] | None = None,
        params: dict[str, str] | None = None,
        inputs: Sequence[DatasetInput] = (),
        tags: dict[str, str] | None = None,
        note: str = "",
        source: str = "",
        logged_model: str = "",
    ) -> ModelVersion:
        check_name("model", model, "model")
        self._room.can("register")
        made = self._room.state.made_before("model.register", mutation)
        if made is not None:
            name, _, number = made.rpartition("@")
            return self._version(name, number)
        kept = decode.VersionRecord(
            run=run,
            created_by=mutation.actor,
            file=file,
            signature=signature,
            metrics={key: _spelled(value) for key, value in (metrics or {}).items()},
            params=params or {},
            inputs=tuple(inputs),
        )
        try:
            self._room.transport.get("registered-models/get", {"name": model}, keep=False)
        except NotFound:
            try:
                self._make(model, mutation, "", {}, "model")
            except Conflict:
                pass  # somebody else made it meanwhile
        given = dict(tags or {}) | {names.VERSION: msgspec.json.encode(kept).decode()}
        if mutation.key:
            given[names.KEY] = mutation.key
            before = self._by_key(model, mutation.key)
            if before is not None:
                self._room.state.note("model.register", mutation, f"{model}@{before}")
                return self._version(model, before)
        body: dict[str, Any] = {"name": model, "tags": _pairs(given), "description": note}
        body |= self._source(run, file, source, logged_model)
        answer = self._change("POST", "model-versions/create", body)
        number = str(answer["model_version"]["version"])
        self._room.state.note("model.register", mutation, f"{model}@{number}")
        after = {"model": model, "version": number, "run": run, "sha256": file.sha256}
        self._room.record("model.register", f"{model}@{number}", mutation, after=after)
        return self._version(model, number)

    def _by_key(self, model: str, key: str) -> str | None:
        """The version that an earlier try with this key made, before it could be written down."""
        if "'" in key:
            return None
        found = list(self._raw_versions(f"name = {quoted(model)} and tags.`{names.KEY}` = '{key}'"))
        return str(found[0]["version"]) if found else None

    def _source(self, run: str, file: ModelFile, source: str, logged_model: str) -> dict[str, Any]:
        """Where the files are, as MLflow wants to be told."""
        if logged_model:
            return {"source": source or f"models:/{logged_model}", "model_id": logged_model}
        if source:
            return {"source": source} | ({"run_id": run} if run else {})
        try:
            root = self._artifacts.root(run)
        except BackendError:
            # A run that this server does not know: the version says so in its record, and points at nothing of it.
            return {"source": f"console:/{run or 'nowhere'}"}
        folder = file.path.rpartition("/")[0]
        return {"source": f"{root}/{folder}" if folder else root, "run_id": run}

    # ------------------------------------------------------------ aliases

    def set_alias(
        self, model: str, alias: str, version: str | None, *, expected: str | None, mutation: Mutation
    ) -> AliasMove:
        change = AliasChange(alias=alias, version=version, expected=expected)
        return self.set_aliases(model, (change,), mutation=mutation)[0]

    def set_aliases(self, model: str, changes: Sequence[AliasChange], *, mutation: Mutation) -> tuple[AliasMove, ...]:
        for change in check_changes(changes):
            check_name("alias", change.alias, "alias")
        self._room.can("aliases")
        return self.aliases.move(model, changes, mutation)

    def history(self, model: str, *, alias: str = "", limit: int = 1000) -> tuple[AliasMove, ...]:
        if limit == 1 and (raw := self._kept.raw_holder(model, alias)) is not None:
            # The last move of an alias is a tag of the version that it came to.
            return tuple(self.aliases.moves(model, alias, self._with_tags([raw]))[:1])
        if limit > LISTED:
            self._history_anew(model)
        elif not self._kept.knows(model):
            self._get(model)
        return tuple(self.aliases.moves(model, alias)[:limit])

    def _history_anew(self, model: str) -> None:
        """One deed asks for the history several times: its versions are read once, unless an alias moved since."""
        changes, listed = self._room.changes, self._lately.get(model)
        told = self._get(model)
        if listed is None or listed[2] is not told:
            self._lately[model] = (time.monotonic(), changes, told)
        if self._history_of.get(model) != told.aliases or not self._kept.knows(model, within=_ANEW_S, whole=True):
            self._kept.forget(model)
            self._history_of[model] = told.aliases

    def _told(self, model: str) -> Iterable[dict[str, Any]]:
        """The versions of a model with their tags, as the server tells them."""
        return self._with_tags(
            self._kept.kept(_those_of(model, self._kinds.get(model) or self._get(model).kind), model)
        )

    def _with_tags(self, versions: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        """Where a list does not tell them, each of the newest is asked for."""
        if self._flavour.whole_lists:
            yield from versions
            return
        newest = sorted(versions, key=lambda each: -(decode.integer(each.get("version")) or 0))
        for each in newest[:_ASKED]:
            asked = {"name": each.get("name", ""), "version": each.get("version", "")}
            yield self._room.transport.get("model-versions/get", asked)["model_version"]

    # ------------------------------------------------------------ notes and tags

    def set_note(self, model: str, version: str, note: str, mutation: Mutation) -> None:
        if self._room.state.made_before("model.note", mutation) is not None:
            return
        check_value("a note", "", note, _TAG, "note")
        before = self._version(model, version).note if version else self._get(model).note
        if before != note:
            body = {"name": model, "description": note} | ({"version": version} if version else {})
            path = "model-versions/update" if version else "registered-models/update"
            self._change("PATCH", path, body, repeatable=True)
            target = f"{model}@{version}" if version else model
            self._room.record("model.note", target, mutation, before={"note": before}, after={"note": note})
        self._room.state.note("model.note", mutation)

    def set_tags(self, model: str, version: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        if self._room.state.made_before("model.tag", mutation) is not None:
            return
        known = self._version(model, version).tags if version else self._get(model).tags
        changed = {key: value for key, value in tags.items() if known.get(key) != value}
        body = {"name": model} | ({"version": version} if version else {})
        path = "model-versions" if version else "registered-models"
        for key, value in changed.items():
            check_unicode(key, "tags")
            if value is None:
                self._change("DELETE", f"{path}/delete-tag", {**body, "key": key}, repeatable=True)
            else:
                self._change("POST", f"{path}/set-tag", {**body, "key": key, "value": value}, repeatable=True)
        if changed:
            before = {key: known.get(key) for key in changed}
            target = f"{model}@{version}" if version else model
            self._room.record("model.tag", target, mutation, before={"tags": before}, after={"tags": changed})
        self._room.state.note("model.tag", mutation)


def _taken(model: str, alias: str, version: str, mutation: Mutation) -> AliasMove:
    return AliasMove(
        model=model,
        alias=alias,
        version=None,
        previous=version,
        at=now(),
        actor=mutation.actor,
        reason=mutation.reason,
        action="delete",
    )


def _reaching(at: str, limit: int) -> int:
    """How many of the newest versions have to be known for a page: all, where its cursor does not say."""
    if at == START:
        return limit
    row = at[1:].partition("~")[0]
    return min(_MOST, int(row) + limit) if at[0] in ">#" and row.isascii() and row.isdigit() else _MOST


def _pairs(found: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in found.items()]


def _spelled(value: float) -> float | str:
    return value if abs(value) < float("inf") else str(value)


def _those_of(model: str, kind: str) -> str:
    """The filter for the versions of a model: a prompt's are left out where nobody asks for prompts."""
    named = f"name = {quoted(model)}"
    return f"{named} and {_PROMPTS}" if kind == "prompt" else named
