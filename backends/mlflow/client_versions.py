"""Versions of an MLflow server's models, asked for in pages of a hundred at most and kept: a version does not change.

What others alter in an older version (a tag, a note) is seen within ten minutes; new versions, and who holds which
alias, with every look.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from backends.contract import Invalid, NotFound
from backends.entities import Model, ModelVersion, Run
from backends.mlflow import decode
from backends.mlflow.client_pages import RunPages
from backends.mlflow.client_room import Room
from backends.mlflow.client_sorting import SLOW_S
from backends.mlflow.words import quoted
from backends.system_metrics import own
from backends.together import together

PAGE: Final = 100
HEAVY: Final = 120_000
"""Bytes of one look at a model's newest versions."""
WHOLE: Final = 1_000
"""Versions of one answer where all of a model are read, for its history."""
HEAVIEST: Final = 800_000
"""Bytes of such an answer."""
KEPT_S: Final = 600.0
RUNS: Final = 50
"""Runs that one question may ask for."""
FIRST: Final = 40
FIRST_OF_SLOW: Final = 8
"""Questions about holders of aliases at a first look at many models; at each look after it is one."""
LATER: Final = 80_000
"""Bytes of that one, where it is for what versions were trained with: a list of models is read at the same look."""
NAMED: Final = 3_000
"""Characters of the names in one question: it is part of an address."""
Raw = dict[str, Any]
Wanted = tuple[Model, str]
"""A model, and the number of the version that holds an alias of it."""

_PLAIN: Final = re.compile(r"[\w .-]+")
"""Names that can stand in a list of MLflow's grammar, whatever quotes it takes."""


class _Known:
    """The versions of one model, as far as they were read: from the newest down."""

    def __init__(self) -> None:
        self.raw: dict[int, Raw] = {}
        self.token = ""
        """Where to read on."""
        self.whole = False
        self.at = time.monotonic()
        self.read = 0.0
        """When the last of it came."""

    @property
    def newest_first(self) -> list[Raw]:
        return [self.raw[number] for number in sorted(self.raw, reverse=True)]


class Versions:
    """Raw versions by model, and what their runs measured."""

    def __init__(self, room: Room, pages: RunPages) -> None:
        self._room = room
        self._pages = pages
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._single: dict[tuple[str, str], tuple[float, tuple[str, ...], Raw]] = {}
        self._unknown_runs: dict[str, float] = {}
        self._weight = 0.0
        self._looked = False
        self._names_together = room.transport.flavour.whole_lists
        """Whether the server finds versions by several names at once."""
        self._alone: set[str] = set()
        """Models that have to be asked for by themselves."""

    def forget(self, model: str) -> None:
        """This console changed something of it."""
        with self._lock:
            self._known.pop(model, None)
            for key in [key for key in self._single if key[0] == model]:
                del self._single[key]

    # ------------------------------------------------------------ of one model

    def newest(self, those: str, model: str, most: int, *, anew: bool = True) -> tuple[list[Raw], bool]:
        """(so many of a model's versions, which the filter `those` means, newest first; whether there are more). The
        newest page is read anew, unless somebody is reading on."""
        with self._lock:
            known = self._known.get(model)
        if known is None or time.monotonic() - known.at > KEPT_S or (anew and not self._renew(those, known)):
            known = _Known()
            self._read_on(those, known)
        while not known.whole and (len(known.raw) < most or not self._ordered):
            self._read_on(those, known, PAGE if most < WHOLE else WHOLE)
        known.read = time.monotonic()
        with self._lock:
            self._known[model] = known
        found = known.newest_first
        return found[:most], not known.whole or len(found) > most

    def kept(self, those: str, model: str) -> list[Raw]:
        """Those that were read lately, without asking; all of them are read where none was."""
        with self._lock:
            known = self._known.get(model)
        if known is not None and time.monotonic() - known.at < KEPT_S:
            return known.newest_first
        return self.newest(those, model, 10_000)[0]

    @property
    def _ordered(self) -> bool:
        """Whether the server gives the newest first when asked to."""
        return self._room.transport.flavour.whole_lists

    def _renew(self, those: str, known: _Known) -> bool:
        """The newest page once more; False where it does not join what is known."""
        if not self._ordered:
            return False
        found, token = self._page(those, "", min(PAGE, len(known.raw) + 1))
        numbers = {_number(each) for each in found}
        if token and known.raw and min(numbers, default=0) > max(known.raw):
            return False
        least = min(numbers, default=0) if token else 0
        kept = {number: raw for number, raw in known.raw.items() if number < least}
        known.raw = kept | {_number(each): each for each in found}
        known.whole = known.whole or not token
        return True

    def _read_on(self, those: str, known: _Known, limit: int = PAGE) -> None:
        found, known.token = self._page(those, known.token, limit)
        known.raw.update((_number(each), each) for each in found)
        known.whole = not known.token

    def _page(self, those: str, token: str, limit: int) -> tuple[list[Raw], str]:
        heaviest = HEAVY if limit <= PAGE else HEAVIEST
        if self._weight * limit > heaviest:
            limit = max(5, int(heaviest / self._weight))
        params = {"filter": those, "max_results": min(limit, self._room.transport.flavour.most), "page_token": token}
        if self._ordered:
            params["order_by"] = "version_number DESC"
        answer = self._room.transport.get("model-versions/search", params)
        found = list(answer.get("model_versions", ()))
        if found:
            self._weight = max(len(msgspec.json.encode(answer)) / len(found), self._weight * 0.9)
        return found, str(answer.get("next_page_token", ""))

    # ------------------------------------------------------------ of many models

    def holders(self, models: Sequence[Model], alias: str) -> dict[str, ModelVersion]:
        """The versions that hold an alias. Those that nobody has read are asked for at once at the first look; at each
        later one a single question is asked, until all are known and what is known is not too old."""
        wanted = [(model, model.aliases[alias]) for model in models if alias in model.aliases]
        first = not self._looked
        self._looked = True
        if first:
            slow = self._room.transport.seconds >= SLOW_S
            self._ask_for([one for one in wanted if self._one(*one) is None], FIRST_OF_SLOW if slow else FIRST)
        elif not self._unknown_of(self._decoded(wanted)):
            missing = [one for one in wanted if self._one(*one) is None]
            self._ask_for(missing or [one for one in wanted if self._one(*one, within=KEPT_S) is None], 1)
            return {each.model: each for each in self.with_runs(self._decoded(wanted), most=0)}
        most = RUNS if first else self._pages.fitting(LATER, RUNS)
        return {each.model: each for each in self.with_runs(self._decoded(wanted), most=most)}

    def _decoded(self, wanted: Sequence[Wanted]) -> list[ModelVersion]:
        return [decode.version(raw, one[0].aliases) for one in wanted if (raw := self._one(*one)) is not None]

    def _ask_for(self, wanted: Sequence[Wanted], questions: int) -> None:
        """By so many questions, those first that tell of the most models."""
        groups = sorted(self._alike(wanted), key=len, reverse=True)
        together([partial(self._ask_some, group) for group in groups[:questions]])

    def _alike(self, wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
        """MLflow finds versions of several models by one question where their number is the same."""
        of_number: dict[str, list[Wanted]] = {}
        for one in wanted:
            if self._names_together and one[0].name not in self._alone and _PLAIN.fullmatch(one[0].name):
                of_number.setdefault(one[1], []).append(one)
            else:
                yield [one]
        most = min(PAGE, max(5, int(HEAVY / self._weight)) if self._weight else PAGE)
        for alike in of_number.values():
            group: list[Wanted] = []
            for one in alike:
                if len(group) >= most or sum(len(each[0].name) + 10 for each in (*group, one)) > NAMED:
                    yield group
                    group = []
                group.append(one)
            yield group

    def _ask_some(self, group: Sequence[Wanted]) -> None:
        if len(group) == 1:
            self._ask_one(*group[0])
            return
        listed = ", ".join(quoted(model.name) for model, _ in group)
        params = {"filter": f"name IN ({listed}) AND version_number = {group[0][1]}", "max_results": len(group)}
        try:
            answer = self._room.transport.get("model-versions/search", params)
        except Invalid:
            self._names_together = False  # an older server: it is asked for each from now on
            return
        found = {str(raw.get("name", "")): raw for raw in answer.get("model_versions", ())}
        for model, number in group:
            if model.name in found:
                self._keep(model, number, found[model.name])
            else:
                self._alone.add(model.name)  # such lists leave out prompts

    def raw_holder(self, model: str, alias: str) -> Raw | None:
        """The version that holds an alias, as it was read lately for a list."""
        for (name, _), (_, aliases, raw) in list(self._single.items()):
            if name == model and alias in aliases:
                return raw
        return None

    def knows(self, model: str, *, within: float = KEPT_S, whole: bool = False) -> bool:
        """Whether its versions, or all of them, were read so lately."""
        known = self._known.get(model)
        if known is None or (whole and not known.whole):
            return False
        return time.monotonic() - (known.read if whole else known.at) < within

    def _one(self, model: Model, number: str, within: float = math.inf) -> Raw | None:
        at, aliases, raw = self._single.get((model.name, number), (0.0, (), None))
        if raw is None or time.monotonic() - at > within or aliases != _held(model, number):
            return None
        return raw

    def _ask_one(self, model: Model, number: str) -> None:
        params = {"name": model.name, "version": number}
        try:
            raw = self._room.transport.get("model-versions/get", params)["model_version"]
        except NotFound:
            return  # it was taken away just now
        self._keep(model, number, raw)

    def _keep(self, model: Model, number: str, raw: Raw) -> None:
        """One version of a model for an alias: that which held it before is not a holder any more."""
        aliases = _held(model, number)
        with self._lock:
            for key in [key for key, (_, held, _) in self._single.items() if key[0] == model.name]:
                if not set(aliases).isdisjoint(self._single[key][1]):
                    del self._single[key]
            self._single[model.name, number] = (time.monotonic(), aliases, raw)

    # ------------------------------------------------------------ what they were trained with

    def with_runs(self, versions: Sequence[ModelVersion], most: int = 10_000) -> tuple[ModelVersion, ...]:
        """What versions that no console made were trained with: of their runs. Those that have ended are known."""
        seen = self._pages.seen
        wanted = dict.fromkeys(each.run for each in versions if each.run and not each.metrics)
        runs: dict[str, Run] = {run: known for run in wanted if (known := seen.ended(run)) is not None}
        now = time.monotonic()
        pieces = list(_pieces(self._unknown_of(versions)[:most], RUNS))
        for some, found in zip(pieces, together([partial(self._pages.by_ids, some) for some in pieces]), strict=True):
            runs |= {run.id: run for run in found}
            self._unknown_runs.update((run, now) for run in some if run not in runs or not runs[run].status.ended)
        for run in wanted:
            if run not in runs and (known := seen.lately(run, KEPT_S)) is not None:
                runs[run] = known
        return tuple(_completed(each, runs.get(each.run)) for each in versions)

    def _unknown_of(self, versions: Sequence[ModelVersion]) -> list[str]:
        """Runs of theirs that are to be asked for."""
        seen, now = self._pages.seen, time.monotonic()
        wanted = dict.fromkeys(each.run for each in versions if each.run and not each.metrics)
        return [
            run
            for run in wanted
            if seen.ended(run) is None and now - self._unknown_runs.get(run, -KEPT_S) >= KEPT_S / 10
        ]


def _held(model: Model, number: str) -> tuple[str, ...]:
    return tuple(sorted(alias for alias, version in model.aliases.items() if version == number))


def _pieces(found: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(found), size):
        yield found[start : start + size]


def _completed(version: ModelVersion, run: Run | None) -> ModelVersion:
    if run is None or version.metrics:
        return version
    return msgspec.structs.replace(
        version,
        metrics=own(run.metrics),
        params=version.params or run.params,
        inputs=version.inputs or run.inputs,
        created_by=version.created_by or run.created_by,
    )


def _number(raw: Raw) -> int:
    return decode.integer(raw.get("version")) or 0
