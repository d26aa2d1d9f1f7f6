"""What a feature set says, and how two of its versions differ. Light: nothing here imports Arrow.

name = "trip"
dataset = "flights"                # what the expressions are over
key = ["tailnum"]                  # what a row tells of
time = "time_hour"                 # since when it is known

[[feature]]
name = "speed"
as = "distance / air_time * 60"
type = "float"
unit = "mph"
owner = "ops"
note = "Mean speed over ground."
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from backends.contract import Invalid
from backends.entities import ColumnType, Record
from console.toml_form import Places, check_keys, convert, did_you_mean, parse_toml, read_toml

KIND = "features"
_COMPARED = (("as_", "expression"), ("type", "type"), ("owner", "owner"), ("unit", "unit"), ("note", "note"))


class Feature(Record, frozen=True, kw_only=True):
    """One column: how it is made, of what type, who answers for it, what it means."""

    name: str
    as_: str = msgspec.field(name="as")
    type: ColumnType
    owner: str = ""
    note: str = ""
    unit: str = ""


class FeatureSet(Record, frozen=True, kw_only=True):
    """`text` is what is kept; `places` tells where each key stands in it."""

    name: str
    dataset: str
    key: tuple[str, ...]
    features: tuple[Feature, ...]
    time: str = ""
    owner: str = ""
    note: str = ""
    text: str = ""
    places: Any = None

    def where(self, at: int, key: str) -> str:
        return f"{self.places.of('feature', at, key)}: feature {self.features[at].name}"


class _Head(Record, frozen=True, kw_only=True):
    name: str = ""
    dataset: str
    key: tuple[str, ...]
    time: str = ""
    owner: str = ""
    """Of every feature that names none."""
    note: str = ""
    feature: tuple[dict[str, Any], ...] = ()


class FeatureChange(Record, frozen=True, kw_only=True):
    """A feature that differs between two versions of a set."""

    name: str
    change: str
    """`added`, `removed`, or what of it changed: `expression`, `type`, `owner`, `note`, `unit`; `key`, `time` and
    `dataset` of the set itself, whose name is then empty."""
    before: str = ""
    after: str = ""


class AppliedTo(Record, frozen=True, kw_only=True):
    """What a set is applied to. Without `labels` its features are computed row by row, beside key and time."""

    use: str
    """`name@version` of the set."""
    source: str = ""
    """Version that the features come from; empty: the latest of the set's dataset."""
    labels: str = ""
    on: tuple[str, ...] = ()
    """The labels' columns that are the set's key, in its order; empty: of the same names."""
    at: str = ""
    """The labels' column that says when; empty: of the same name as the set's."""
    max_age: str = ""
    """How old a feature row may be: `2h`, `7d`; empty: any."""
    name: str = ""


def load_features(path: Path) -> FeatureSet:
    return parse_features(read_toml(path, "feature set"), str(path), path.name.removesuffix(".toml"))


def parse_features(text: str, source: str = "features", name: str = "") -> FeatureSet:
    """The set in this TOML text; `name` where it gives none. Invalid names file, line, feature and nearest key."""
    table, places = parse_toml(text, source), Places(source, text)
    check_keys(table, _Head, "a feature set", places)
    head = convert(table, _Head, "feature set", places)
    features: list[Feature] = []
    for at, each in enumerate(head.feature):
        what = f"feature {each.get('name', at + 1)}"
        check_keys(each, Feature, what, places, "feature", at)
        feature = convert(each, Feature, what, places, "feature", at)
        features.append(feature if feature.owner else msgspec.structs.replace(feature, owner=head.owner))
    found = FeatureSet(
        name=head.name or name, dataset=head.dataset, key=head.key, features=tuple(features), time=head.time,
        owner=head.owner, note=head.note, text=text, places=places,
    )  # fmt: skip
    if not found.features:
        raise Invalid(f"{source}: the set has no feature; add [[feature]] with name, as and type.", "feature")
    if not found.key:
        raise Invalid(f'{places.of("key")}: key is empty; name what a row tells of: key = ["column"].', "key")
    taken = {*found.key, *([found.time] if found.time else [])}
    for at, feature in enumerate(features):
        if feature.name in taken:
            raise Invalid(
                f"{found.where(at, 'name')}: the name stands for another column of the set already; choose another.",
                "name",
            )
        if feature.type is ColumnType.OTHER:
            raise Invalid(f"{found.where(at, 'type')}: type = 'other' is none that a model takes.", "type")
        taken.add(feature.name)
    return found


def diff_features(before: FeatureSet, after: FeatureSet) -> tuple[FeatureChange, ...]:
    """What was added, removed and changed; expressions are compared without their blanks."""
    changes = [
        FeatureChange(name="", change=what, before=_text(getattr(before, what)), after=_text(getattr(after, what)))
        for what in ("dataset", "key", "time")
        if getattr(before, what) != getattr(after, what)
    ]
    old, new = ({feature.name: feature for feature in each.features} for each in (before, after))
    changes += [FeatureChange(name=name, change="removed", before=old[name].as_) for name in old if name not in new]
    changes += [FeatureChange(name=name, change="added", after=new[name].as_) for name in new if name not in old]
    for name in old:
        if name not in new:
            continue
        for field, word in _COMPARED:
            was, now = str(getattr(old[name], field)), str(getattr(new[name], field))
            if was != now and (field != "as_" or _bare(was) != _bare(now)):
                changes.append(FeatureChange(name=name, change=word, before=was, after=now))
    return tuple(changes)


def age_of(text: str, kind: ColumnType) -> float:
    """How old a feature row may be, in the time column's own count: seconds of times, days of dates, else a number."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    units = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "day": 86400, "days": 86400, "w": 604800}
    if found and kind in (ColumnType.DATETIME, ColumnType.DATE) and found[2] in units:
        seconds = float(found[1]) * units[found[2]]
        return seconds / 86400 if kind is ColumnType.DATE else seconds
    if found and not found[2] and kind not in (ColumnType.DATETIME, ColumnType.DATE):
        return float(found[1])
    wanted = "such as 30min, 2h or 7d" if kind in (ColumnType.DATETIME, ColumnType.DATE) else "a number"
    near = did_you_mean(found[2], units) if found and found[2] else "."
    raise Invalid(f"{text!r} is no age here; wanted {wanted}{near}", "max_age")


def _bare(text: str) -> str:
    """Without the blanks outside of quotes."""
    parts = re.split(r"('[^']*'|\"[^\"]*\")", text)
    return "".join(part if at % 2 else re.sub(r"\s+", "", part) for at, part in enumerate(parts))


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
