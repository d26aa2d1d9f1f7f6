"""Versions of an MLflow server's models, asked for in pages of a hundred at most and kept: a version does not change.

What others alter in an older version (a tag, a note) is seen within ten minutes; new versions, and who holds which
alias, with every look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from backends.contract import NotFound
from backends.entities import Model, ModelVersion, Run
from backends.mlflow import decode
from backends.mlflow.client_pages import RunPages
from backends.mlflow.client_room import Room
from backends.mlflow.client_sorting import SLOW_S
from backends.system_metrics import own
from backends.together import together

PAGE: Final = 100
HEAVY: Final = 120_000
"""Bytes of one look at a model's newest versions."""
KEPT_S: Final = 600.0
RUNS: Final = 50
"""Runs that one question may ask for."""
FIRST: Final = 40
FIRST_OF_SLOW: Final = 8
LATER: Final = 2
"""Holders of aliases that are asked for at a first look at many models, and at each look after it."""
Raw = dict[str, Any]


class _Known:
    """The versions of one model, as far as they were read: from the newest down."""

    def __init__(self) -> None:
        self.raw: dict[int, Raw] = {}
        self.token = ""
        """Where to read on."""
        self.whole = False
        self.at = time.monotonic()

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
            self._read_on(those, known)
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

    def _read_on(self, those: str, known: _Known) -> None:
        found, known.token = self._page(those, known.token, PAGE)
        known.raw.update((_number(each), each) for each in found)
        known.whole = not known.token

    def _page(self, those: str, token: str, limit: int) -> tuple[list[Raw], str]:
        if self._weight * limit > HEAVY:
            limit = max(5, int(HEAVY / self._weight))
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
        """The versions that hold an alias: a few unknown ones are asked for at once, the others at later looks."""
        wanted = {model.name: (model.aliases[alias], model) for model in models if alias in model.aliases}
        unknown = [name for name, (number, model) in wanted.items() if self._one(model, number) is None]
        first = FIRST if self._room.transport.seconds < SLOW_S else FIRST_OF_SLOW
        most = LATER if self._looked else first
        self._looked = True
        together([partial(self._ask_one, wanted[name][1], wanted[name][0]) for name in unknown[:most]])
        found = [(model, raw) for number, model in wanted.values() if (raw := self._one(model, number)) is not None]
        made = self.with_runs([decode.version(raw, model.aliases) for model, raw in found], most=RUNS)
        return {version.model: version for version in made}

    def raw_holder(self, model: str, alias: str) -> Raw | None:
        """The version that holds an alias, as it was read lately for a list."""
        for (name, _), (at, aliases, raw) in list(self._single.items()):
            if name == model and alias in aliases and time.monotonic() - at < KEPT_S:
                return raw
        return None

    def knows(self, model: str) -> bool:
        """Whether its versions were read lately."""
        known = self._known.get(model)
        return known is not None and time.monotonic() - known.at < KEPT_S

    def _one(self, model: Model, number: str) -> Raw | None:
        at, aliases, raw = self._single.get((model.name, number), (0.0, (), None))
        if raw is None or time.monotonic() - at > KEPT_S or aliases != _held(model, number):
            return None
        return raw

    def _ask_one(self, model: Model, number: str) -> None:
        params = {"name": model.name, "version": number}
        try:
            raw = self._room.transport.get("model-versions/get", params)["model_version"]
        except NotFound:
            return  # it was taken away just now
        self._single[model.name, number] = (time.monotonic(), _held(model, number), raw)

    # ------------------------------------------------------------ what they were trained with

    def with_runs(self, versions: Sequence[ModelVersion], most: int = 10_000) -> tuple[ModelVersion, ...]:
        """What versions that no console made were trained with: of their runs. Those that have ended are known."""
        seen = self._pages.seen
        wanted = dict.fromkeys(each.run for each in versions if each.run and not each.metrics)
        runs: dict[str, Run] = {run: known for run in wanted if (known := seen.ended(run)) is not None}
        now = time.monotonic()
        ask = [run for run in wanted if run not in runs and now - self._unknown_runs.get(run, -KEPT_S) >= KEPT_S / 10]
        pieces = list(_pieces(ask[:most], RUNS))
        for some, found in zip(pieces, together([partial(self._pages.by_ids, some) for some in pieces]), strict=True):
            runs |= {run.id: run for run in found}
            self._unknown_runs.update((run, now) for run in some if run not in runs or not runs[run].status.ended)
        for run in wanted:
            if run not in runs and (known := seen.lately(run, KEPT_S)) is not None:
                runs[run] = known
        return tuple(_completed(each, runs.get(each.run)) for each in versions)


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
