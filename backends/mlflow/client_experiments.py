"""Experiments of an MLflow server, and the names that runs are told by."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from backends.contract import (
    START,
    BackendError,
    Conflict,
    Invalid,
    Mutation,
    NotFound,
    Page,
    Refused,
    Unsupported,
)
from backends.entities import Experiment
from backends.listing import cut
from backends.mlflow import decode, names
from backends.mlflow.client_room import Room, check_name, check_value
from backends.query_keys import nearest

_FRESH_S: Final = 120.0
_WHOLE_S: Final = 900.0
"""After so long all are read again: what was deleted for good tells nobody."""
_MOST: Final = 20_000
"""Experiments that are looked at; no list of them is longer."""


class MlflowExperiments:
    """`ExperimentStore` over the protocol."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._known: dict[str, Experiment] = {}
        """As the server names them."""
        self._looked_at = self._read_at = -_WHOLE_S

    # ------------------------------------------------------------ names and ids

    def known(self, *, fresh: bool = False) -> dict[str, Experiment]:
        """id → experiment, deleted ones too; at most two minutes old."""
        return {number: self._named(each) for number, each in self._listed(fresh).items()}

    def _listed(self, fresh: bool = False) -> dict[str, Experiment]:
        with self._lock:
            at = time.monotonic()
            if at - self._read_at > _WHOLE_S:
                # What the server is will be wanted as soon as there are rows: it is asked meanwhile.
                threading.Thread(target=self._probe, name="probe", daemon=True).start()
                self._known = {each.id: each for each in self._all("")}
                self._read_at = self._looked_at = time.monotonic()
            elif fresh or at - self._looked_at > _FRESH_S:
                self._known = self._renewed()
                self._looked_at = time.monotonic()
            return self._known

    def _probe(self) -> None:
        try:
            _ = self._room.server
        except BackendError:
            pass  # whoever needs it asks for himself, and is told

    def _renewed(self) -> dict[str, Experiment]:
        """Asks what changed since the newest change that is known: an answer of one line, mostly. All are read where
        something did, so that the whole answer is at hand when the server is away."""
        newest = max((each.updated_at for each in self._known.values()), default=0)
        try:
            if newest and all(self._known.get(each.id) == each for each in self._all(f"last_update_time >= {newest}")):
                return self._known
        except (Invalid, Unsupported):
            pass  # an older server cannot say since when
        return {each.id: each for each in self._all("")}

    def _all(self, filter_: str) -> Iterable[Experiment]:
        token = ""
        found = 0
        while found < _MOST:
            body = {"max_results": 1_000, "view_type": "ALL", "order_by": ["last_update_time DESC"]}
            body |= {key: value for key, value in (("filter", filter_), ("page_token", token)) if value}
            page = self._room.transport.search("experiments/search", body)
            items = page.get("experiments", ())
            found += len(items)
            yield from map(decode.experiment, items)
            token = page.get("next_page_token", "")
            if not token:
                return

    def _named(self, each: Experiment) -> Experiment:
        """Our own server calls its default experiment as MLflow's clients do."""
        if each.id == "0" and each.name != "default" and self._room.server.own:
            return msgspec.structs.replace(each, name="default")
        return each

    def name_of(self, number: str) -> str:
        found = self._listed().get(number) or self._listed(fresh=True).get(number)
        return self._named(found).name if found is not None else number

    def ids(self, chosen: frozenset[str] | None = None, *, deleted: bool | None = False) -> list[str]:
        """Ids by name; None for all. `deleted` None: whether or not."""
        return [
            each.id
            for each in self._listed().values()
            if (chosen is None or self._named(each).name in chosen)
            and (deleted is None or (each.deleted_at is not None) is deleted)
        ]

    def ensure(self, name: str) -> str:
        """The id of the experiment of this name; it is made if it is not there."""
        for fresh in (False, True):
            for each in self.known(fresh=fresh).values():
                if each.name == name:
                    if each.deleted_at is not None:
                        raise Refused(
                            f"experiment {name} is deleted, so it takes no new run; nothing was changed. Restore it, "
                            "or name another."
                        )
                    return each.id
        try:
            made = str(self._room.change("POST", "experiments/create", {"name": name})["experiment_id"])
        except Conflict:  # somebody else was first
            return self.get(name).id
        self.forget()
        return made

    def forget(self) -> None:
        with self._lock:
            self._read_at = self._looked_at = -_WHOLE_S

    # ------------------------------------------------------------ the contract

    def page(self, *, at: str = START, limit: int = 100, deleted: bool = False) -> Page[Experiment]:
        found = [each for each in self.known(fresh=at == START).values() if (each.deleted_at is not None) is deleted]
        found.sort(key=lambda each: (-each.updated_at, each.id))
        return cut(found, at, limit, name=lambda each: each.id)

    def list(self) -> tuple[Experiment, ...]:
        found = (each for each in self.known(fresh=True).values() if each.deleted_at is None)
        return tuple(sorted(found, key=lambda each: each.name))

    def get(self, experiment: str) -> Experiment:
        known = self.known(fresh=True)
        found = known.get(experiment) or next((each for each in known.values() if each.name == experiment), None)
        if found is None:
            close = nearest(experiment[:60], [each.name for each in known.values() if len(each.name) <= 60])
            hint = f"did you mean {close}?" if close else "give the name or the id of one that is there."
            raise NotFound(f"there is no experiment {experiment}; {hint}")
        return found

    def create(self, name: str, mutation: Mutation, *, tags: dict[str, str] | None = None) -> Experiment:
        check_name("experiment", name)
        made = self._room.state.made_before("experiment.create", mutation)
        if made is not None:
            return self.get(made)
        body = {"name": name, "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]}
        try:
            number = str(self._room.change("POST", "experiments/create", body)["experiment_id"])
        except Conflict as error:
            raise Conflict(f"experiment {name} is there already; nothing was changed. Take another name.") from error
        self._room.record("experiment.create", name, mutation, after={"name": name})
        self._room.state.note("experiment.create", mutation, number)
        return self.get(number)

    def rename(self, experiment: str, name: str, mutation: Mutation) -> None:
        check_name("experiment", name)
        found = self._living(experiment)
        if found.name == name or self._room.state.made_before("experiment.rename", mutation) is not None:
            return
        try:
            self._room.change("POST", "experiments/update", {"experiment_id": found.id, "new_name": name})
        except Conflict as error:
            raise Conflict(f"experiment {name} is there already; nothing was changed. Take another name.") from error
        self._done("experiment.rename", found, mutation, {"name": found.name}, {"name": name})

    def set_tags(self, experiment: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        found = self._living(experiment)
        if self._room.state.made_before("experiment.tag", mutation) is not None:
            return
        changed = {key: value for key, value in tags.items() if found.tags.get(key) != value}
        for key, value in changed.items():
            self._set_tag(found, key, value)
        if changed:
            before = {key: found.tags.get(key) for key in changed}
            self._done("experiment.tag", found, mutation, {"tags": before}, {"tags": changed})

    def _set_tag(self, found: Experiment, key: str, value: str | None) -> None:
        body: dict[str, Any] = {"experiment_id": found.id, "key": key}
        if value is None:
            self._room.change("POST", "experiments/delete-experiment-tag", body)
            return
        check_value("tag", key, value, 20_000, "tags")
        self._room.change("POST", "experiments/set-experiment-tag", body | {"value": value}, repeatable=True)

    def set_note(self, experiment: str, note: str, mutation: Mutation) -> None:
        found = self._living(experiment)
        if found.note != note and self._room.state.made_before("experiment.note", mutation) is None:
            self._set_tag(found, names.NOTE, note)
            self._done("experiment.note", found, mutation, {"note": found.note}, {"note": note})

    def delete(self, experiment: str, mutation: Mutation, *, unended: bool = False) -> None:
        found = self.get(experiment)
        if found.deleted_at is not None or self._room.state.made_before("experiment.delete", mutation) is not None:
            return
        if not unended:
            self._refuse_busy(found)
        self._room.change("POST", "experiments/delete", {"experiment_id": found.id})
        self._done("experiment.delete", found, mutation, {"deleted": False}, {"deleted": True})

    def _refuse_busy(self, found: Experiment) -> None:
        for status in ("RUNNING", "SCHEDULED"):
            body = {"experiment_ids": [found.id], "filter": f"attributes.status = '{status}'", "max_results": 1}
            busy = self._room.transport.search("runs/search", body, keep=False).get("runs", ())
            if busy:
                raise Refused(
                    f"experiment {found.name} has run {busy[0]['info']['run_id'][:8]}, which is {status.lower()}, and "
                    "cannot be deleted; nothing was changed. Stop it first."
                )

    def restore(self, experiment: str, mutation: Mutation) -> None:
        found = self.get(experiment)
        if found.deleted_at is None or self._room.state.made_before("experiment.restore", mutation) is not None:
            return
        self._room.change("POST", "experiments/restore", {"experiment_id": found.id})
        self._done("experiment.restore", found, mutation, {"deleted": True}, {"deleted": False})

    def _living(self, experiment: str) -> Experiment:
        found = self.get(experiment)
        if found.deleted_at is not None:
            raise Refused(f"experiment {found.name} is deleted; nothing was changed. Restore it first.")
        return found

    def _done(
        self, action: str, found: Experiment, mutation: Mutation, before: dict[str, Any], after: dict[str, Any]
    ) -> None:
        self.forget()
        self._room.record(action, found.name, mutation, before=before, after=after)
        self._room.state.note(action, mutation)
