"""A trigger as a person writes it, in TOML: `[when]`, `[do]`, `[limits]`.

name = "retrain-late"
[when]
alert    = "live"               # alerts of this monitor; "*" is any
metric   = "auc"                # on this metric or rule
severity = "critical"
# or   schedule = "every day at 03:00" with timezone = "Europe/Berlin", missed = "once" or "skip"
# or   dataset = "flights", a new version · monitor = "live" with rows = 10000 · folder = "/in" with files = 1
# or   hand = true
[do]
retrain = "flights.toml"        # a recipe's file, or its text
model   = "flights"             # by default the one that the recipe registers
rows_of = "live"                # train on the labelled rows of its folder or log; else on the newest version
promote = true                  # where the policy lets a trigger do so
# or   rollback = "flights" · scale = "live" with workers = "+1" · command = "…" · run = "recipe.toml"
# or   check = "flights"
[limits]
per_day = 1
cooldown = "6 h"
run_minutes = 30
cpu_hours = 2
failures = 3
dry_run = false
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.contract import Invalid
from backends.entities import Millis, Record, Trigger, TriggerDo, TriggerLimits, TriggerWhen
from backends.entities.triggers import CAUSES, DEEDS
from console.toml_form import Places, check_keys, convert, did_you_mean, parse_toml
from console.triggers import cron

WHAT: Final = "trigger"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)")
_UNITS: Final = {"s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_WORKERS: Final = re.compile(r"[+-]?[1-9]\d{0,2}")
_OF_WHEN: Final = {
    "metric": "alert", "severity": "alert", "timezone": "schedule", "missed": "schedule", "rows": "monitor",
    "files": "folder",
}  # fmt: skip
_OF_DO: Final = {
    "model": ("retrain",),
    "data": ("retrain",),
    "rows_of": ("retrain",),
    "promote": ("retrain",),
    "alias": ("retrain", "rollback"),
    "workers": ("scale",),
    "most": ("scale",),
    "workdir": ("retrain", "run", "command"),
    "experiment": ("command",),
}


class _Written(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file as it stands."""

    name: str
    when: TriggerWhen
    do: TriggerDo
    limits: TriggerLimits = TriggerLimits()
    note: str = ""


def parse_trigger(text: str, source: str = "trigger", *, base: Path | None = None, name: str = "") -> Trigger:
    """The trigger in this TOML; recipes that it names by file are read, from `base`. `name` stands where it says none.

    Invalid names file, line and key, and the nearest valid key.
    """
    table, places = parse_toml(text, source), Places(source, text)
    if name:
        table.setdefault("name", name)
    for key in ("when", "do"):
        if not isinstance(table.get(key), Mapping):
            raise Invalid(f"{source}: a {WHAT} needs a table [{key}]; add it.", key)
    check_keys(table, _Written, f"a {WHAT}", places)
    for key, kind in (("when", TriggerWhen), ("do", TriggerDo), ("limits", TriggerLimits)):
        inner = table.get(key, {})
        if not isinstance(inner, Mapping):
            raise Invalid(f"{places.of(key)}: {key} is a table: write [{key}] and its keys under it.", key)
        check_keys(inner, kind, f"[{key}]", places, key)
    _only_what_belongs(table, places)
    said = convert(table, _Written, WHAT, places)
    do = said.do
    folder = (base or Path.cwd()).expanduser().absolute()
    for what in ("retrain", "run"):
        if given := getattr(do, what):
            recipe, place = _recipe(given, folder)
            workdir = do.workdir or str(place)
            do = msgspec.structs.replace(do, **{what: recipe, "workdir": workdir})
    if do.command:
        workdir = str(folder / Path(do.workdir).expanduser()) if do.workdir else str(folder)
        do = msgspec.structs.replace(do, workdir=workdir)
    when = said.when
    if when.folder:
        when = msgspec.structs.replace(when, folder=str(folder / Path(when.folder).expanduser()))
    if when.schedule and not when.timezone:
        when = msgspec.structs.replace(when, timezone=local_zone())
    return checked(Trigger(name=said.name, when=when, do=do, limits=said.limits, note=said.note), source)


def checked(trigger: Trigger, source: str = "trigger") -> Trigger:
    """The trigger, if it can be one by itself; Invalid says what is wrong with it."""

    def wrong(field: str, message: str) -> Invalid:
        return Invalid(f"{source}: {field}: {message}", field)

    when, do, limits = trigger.when, trigger.do, trigger.limits
    if not NAME.fullmatch(trigger.name):
        raise wrong(
            "name", f"{trigger.name!r}: letters, digits, '.', '_' and '-', first a letter or digit, at most 100"
        )
    causes = [each for each in CAUSES if getattr(when, each)]
    if len(causes) != 1:
        raise wrong("when", f"says {' and '.join(causes) or 'nothing'}; wanted is one of {', '.join(CAUSES)}.")
    deeds = [each for each in DEEDS if getattr(do, each)]
    if len(deeds) != 1:
        raise wrong("do", f"says {' and '.join(deeds) or 'nothing'}; wanted is one of {', '.join(DEEDS)}.")
    if when.schedule:
        schedule, where = cron.parse(when.schedule), cron.zone(when.timezone)
        cron.next_after(schedule, where, 0)
    if when.monitor and when.rows < 1:
        raise wrong("when.rows", "how many rows have to land is not said; add rows = 1000 or such.")
    if when.files < 1:
        raise wrong("when.files", f"{when.files} is too few; wanted 1 or more.")
    if do.scale and not _WORKERS.fullmatch(do.workers):
        raise wrong("do.workers", f'{do.workers!r} is neither a number such as "4" nor a change such as "+1".')
    if do.most < 1:
        raise wrong("do.most", f"{do.most} is too few; wanted 1 or more.")
    span(limits.cooldown, "limits.cooldown")
    for field in ("per_day", "run_minutes", "cpu_hours", "failures"):
        if not 0 <= getattr(limits, field) < 1e6:
            raise wrong(f"limits.{field}", f"{getattr(limits, field)} is not 0 (no limit) or more.")
    for what in ("retrain", "run"):
        if text := getattr(do, what):
            _check_recipe(trigger, text, wrong)
    return trigger


def model_of(do: TriggerDo) -> str:
    """The model that a deed is about, or empty."""
    if do.rollback:
        return do.rollback
    if do.retrain:
        return do.model or _said_by(do.retrain, "register")
    return ""


def data_of(do: TriggerDo) -> str:
    """The dataset that a retrain takes its newest version of: without a version."""
    return (do.data or _said_by(do.retrain, "dataset")).partition("@")[0]


def span(text: str, field: str = "") -> Millis:
    """`6 h`, `30 min`, `2 d` in ms; `0` or nothing is 0."""
    if text.strip() in ("", "0"):
        return 0
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise Invalid(f"{field or 'a span'}: {text!r} is no span of time; wanted such as 30 min, 6 h or 2 d.", field)
    return int(float(found[1]) * _UNITS[found[2]])


def local_zone() -> str:
    """The name of this machine's time zone; UTC where it has none."""
    import os

    named = os.environ.get("TZ", "").removeprefix(":")
    try:
        place = os.readlink("/etc/localtime").partition("zoneinfo/")[2]  # noqa: PTH115
    except OSError:
        place = ""
    for each in (named, place):
        if each:
            try:
                return cron.zone(each).key or "UTC"
            except Invalid:
                continue
    return "UTC"


def to_toml(trigger: Trigger) -> str:
    """The definition as TOML that reads back as the same; what says nothing is left out."""
    lines = [f"name = {_value(trigger.name)}"]
    if trigger.note:
        lines.append(f"note = {_value(trigger.note)}")
    for key, part, plain in (
        ("when", trigger.when, TriggerWhen()),
        ("do", trigger.do, TriggerDo()),
        ("limits", trigger.limits, None),
    ):
        lines += ["", f"[{key}]"]
        for field in part.__struct_fields__:
            value = getattr(part, field)
            if plain is None or value != getattr(plain, field):
                lines.append(f"{field} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if "\n" in value and "'''" not in value and not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value):
            return f"'''\n{value}'''"
        return json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _only_what_belongs(table: Mapping[str, Any], places: Places) -> None:
    """A key that the chosen cause or deed does not look at would mislead."""
    when, do = table["when"], table["do"]
    for key, cause in _OF_WHEN.items():
        if key in when and cause not in when:
            raise Invalid(f"{places.of('when', key)}: {key} goes with {cause} = …, and there is none.", key)
    for key, deeds in _OF_DO.items():
        if key in do and not any(deed in do for deed in deeds):
            raise Invalid(f"{places.of('do', key)}: {key} goes with {' or '.join(deeds)} = …, and there is none.", key)


def _recipe(given: str, folder: Path) -> tuple[str, Path]:
    """The text of a recipe and the folder that it stands in."""
    if "\n" in given:
        return given, folder
    from console.training.recipe import read_recipe

    path = folder / Path(given).expanduser()
    return read_recipe(path), path.parent


def _check_recipe(trigger: Trigger, text: str, wrong: Any) -> None:
    from console.training.command_recipe import is_command, parse_command_recipe
    from console.training.recipe import parse_recipe

    do, source = trigger.do, f"recipe of trigger {trigger.name}"
    recipe = parse_command_recipe(text, source) if is_command(text) else parse_recipe(text, source)
    if recipe.system_metrics is False and trigger.limits.cpu_hours:
        raise wrong("limits.cpu_hours", "the recipe says system_metrics = false, so nobody counts what its runs take.")
    if not do.retrain:
        return
    if not (do.model or recipe.register):
        raise wrong(
            "do.model",
            "which model the new version is of is not said, here or by the recipe's register; name it (--model MODEL).",
        )
    if not data_of(do):
        raise wrong("do.data", "the recipe names no dataset; say which one with data = …")
    if do.rows_of and trigger.when.dataset == data_of(do):
        raise wrong("when.dataset", f"{data_of(do)} is what it makes itself, so that it would fire for ever.")
    if is_command(text) and do.rows_of and not recipe.dataset:
        raise wrong("do.rows_of", "the recipe's command is not given a dataset.")


def _said_by(recipe: str, key: str) -> str:
    try:
        return str(parse_toml(recipe, "recipe").get(key, ""))
    except Invalid:
        return ""


def known_key(word: str) -> str:
    """`limits.per_day` for what `--set` may name; Invalid with the nearest where it is none."""
    valid = [
        "note",
        *(f"when.{each}" for each in TriggerWhen.__struct_fields__),
        *(f"do.{each}" for each in TriggerDo.__struct_fields__),
        *(f"limits.{each}" for each in TriggerLimits.__struct_fields__),
    ]
    if word in valid:
        return word
    short = [each for each in valid if each.rpartition(".")[2] == word]
    if len(short) == 1:
        return short[0]
    raise Invalid(f"{word}: no key of a trigger{did_you_mean(word, valid)} Valid: {', '.join(valid)}.", word)
