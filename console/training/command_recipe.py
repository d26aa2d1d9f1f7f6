"""A recipe that holds a command instead of an estimator: its typed parameters, its limits, what is searched.

    command = "python train.py --lr {lr}"
    retries = 1
    [params.lr]
    type = "float"
    default = 0.1
    low = 0.0001
    high = 1
    [limits]
    minutes = 10

The command is split into words first, then every `{name}` is filled within its word: no value can become a second word,
and no shell reads any. `{{` and `}}` stand for braces. `{dataset}` is the path of the dataset version's file.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from backends.contract import Invalid
from backends.entities import Record
from console.toml_form import Places, check_keys, convert, did_you_mean, parse_toml
from console.training.command import looks_secret
from console.training.needs import NeedsTable, wrong_needs
from console.training.sweep.space import Dimension, SweepPlan, wrong_plan
from console.training.toml_text import param_text, to_toml, toml_value
from console.training.watching import wrong_watching

Value = str | int | float | bool
WHAT: Final = "a command recipe"
DATASET: Final = "dataset"
"""The placeholder that is no parameter."""
MOST_RETRIES: Final = 20
_PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Param(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One parameter of the command."""

    type: Literal["", "float", "int", "string", "bool"] = ""
    """By default that of `default`, or of the first of the choices."""
    default: Value | None = None
    """Without it a value has to be given at every start."""
    low: int | float | None = None
    high: int | float | None = None
    choices: tuple[Value, ...] = ()
    help: str = ""

    @property
    def kind(self) -> str:
        """`float`, `int`, `string` or `bool`."""
        if self.type:
            return self.type
        shown = next((each for each in (self.default, *self.choices, self.low, self.high) if each is not None), "")
        return {bool: "bool", int: "int", float: "float"}.get(type(shown), "string")


class Limits(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run may take; 0 is no limit."""

    minutes: float = 0.0
    memory_mb: float = 0.0
    """Resident memory of all its processes together, in millions of bytes."""
    threads: int = 0
    """Of numeric libraries, through their environment variables."""
    nice: int = 0
    """0 to 19: how far it stands back behind other processes."""


class CommandRecipe(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run of a command does."""

    command: str
    name: str = ""
    experiment: str = "default"
    dataset: str = ""
    """`name` (its latest version) or `name@version`; kept with the run as its input."""
    register: str = ""
    """Name of the model to register what the run logged under."""
    note: str = ""
    stalled_after: float | None = None
    """Minutes without a metric, progress or output after which a run counts as stalled; 0 for never."""
    system_metrics: bool | int | float = True
    """What machine and processes take, as metrics of the run: not at all (`false`), or how many seconds apart."""
    retries: int = 0
    """How often a run that failed is started again; one that was stopped is not."""
    workdir: str = ""
    """Where the command runs, from the recipe's own folder; that folder by default."""
    params: dict[str, Param] = msgspec.field(default_factory=dict)
    limits: Limits = Limits()
    needs: NeedsTable = NeedsTable()
    """What a run waits for until it has it to itself."""
    launch: dict[str, str | int | float] = msgspec.field(default_factory=dict)
    """What a cluster is told besides: partition, time limit, `resource.NAME`. Elsewhere it is passed over."""
    env: dict[str, str] = msgspec.field(default_factory=dict)
    """Variables of the command; `{name}` is filled here too. Never secrets."""
    sweep: SweepPlan | None = None
    """What is searched; `metric` and `direction` say by what."""

    def primary(self) -> str:
        """The metric that trials are judged by, or empty."""
        return self.sweep.metric if self.sweep is not None else ""

    def values(self) -> dict[str, Value]:
        """Every parameter with its value. Invalid where one has none."""
        for name, each in self.params.items():
            if each.default is None:
                raise Invalid(f"{name} has no default; give it, such as --set {name}=…", name)
        return {name: each.default for name, each in self.params.items() if each.default is not None}


_TABLES: Final[dict[str, type[Record]]] = {"limits": Limits, "needs": NeedsTable, "sweep": SweepPlan}
_KEYS: Final = list(CommandRecipe.__struct_encode_fields__)


def is_command(text: str) -> bool:
    """Whether this recipe's text holds a command. False for what is no TOML: its other reader says why."""
    try:
        table = parse_toml(text, "recipe")
    except Invalid:
        return False
    return "command" in table and "estimator" not in table


def parse_command_recipe(text: str, source: str = "recipe") -> CommandRecipe:
    """The recipe in this TOML text. Invalid names the file, line and key, and the nearest valid key."""
    return _from_table(parse_toml(text, source), Places(source, text))


def override_command_recipe(text: str, overrides: Mapping[str, Any], source: str = "recipe") -> str:
    """The recipe's TOML with some keys set anew: a parameter by its name (`lr`), other keys by theirs (`retries`,
    `limits.minutes`, `env.SEED`, `sweep.trials`). Text values are read as the parameter's type, else as TOML."""
    if not overrides:
        return text
    table = parse_toml(text, source)
    before = _from_table(table, Places(source, text))
    for key, value in overrides.items():
        path = key.split(".")
        name = path[1] if len(path) == 2 and path[0] == "params" else key
        if name in before.params:
            table["params"][name]["default"] = _as_type(before.params[name], value)
            continue
        if path[0] not in _KEYS or path[0] == "params":
            known = [*before.params, *_KEYS]
            raise Invalid(
                f"{key}: it is neither a parameter nor a key of this recipe{did_you_mean(key, known)} "
                f"Parameters: {', '.join(before.params) or 'none'}.",
                key,
            )
        here = table
        for part in path[:-1]:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise Invalid(f"{key}: {part} is a value, not a table, so nothing can be set in it.", key)
        text_key = path[0] in ("command", "name", "experiment", "dataset", "register", "note", "workdir", "env")
        here[path[-1]] = value if text_key or not isinstance(value, str) else toml_value(value)
    _from_table(table, Places(source, ""))
    return to_toml(table)


def fill(recipe: CommandRecipe, dataset: str = "") -> tuple[tuple[str, ...], dict[str, str]]:
    """(the words of the command, its variables), with every placeholder filled. `dataset` is the file's path."""
    values = {name: param_text(value) for name, value in recipe.values().items()}
    if recipe.dataset:
        values[DATASET] = dataset
    words = tuple(_filled(word, values.__getitem__) for word in shlex.split(recipe.command))
    return words, {name: _filled(text, values.__getitem__) for name, text in recipe.env.items()}


def _filled(text: str, value: Callable[[str], str]) -> str:
    """One pass, so that a value that looks like a placeholder stays what it is."""
    return _PLACEHOLDER.sub(lambda found: value(found[1]) if found[1] else found[0][0], text)


def _placeholders(text: str) -> list[str]:
    return [found[1] for found in _PLACEHOLDER.finditer(text) if found[1]]


def _as_type(param: Param, value: Any) -> Any:
    """What was typed for a parameter: a string stays as typed, unless it is written as a TOML string."""
    if not isinstance(value, str):
        return value
    read = toml_value(value)
    return read if param.kind != "string" or isinstance(read, str) else value


# ---------------------------------------------------------------- from the file


def _from_table(table: dict[str, Any], places: Places) -> CommandRecipe:
    check_keys(table, CommandRecipe, WHAT, places)
    for key in ("params", "env", *_TABLES):
        if key in table and not isinstance(table[key], dict):
            raise Invalid(f"{places.of(key)}: {key} is a table: write [{key}] and its keys under it.", key)
        if key in _TABLES:
            check_keys(table.get(key, {}), _TABLES[key], f"[{key}]", places, key)
    params = {}
    for name, given in table.get("params", {}).items():
        if not isinstance(given, dict):
            raise Invalid(
                f"{places.of('params', name)}: params.{name} is a table: write [params.{name}] with default = …", name
            )
        check_keys(given, Param, f"[params.{name}]", places, "params", name)
        params[name] = convert(given, Param, f"params.{name}", places, "params", name)
    sweep = table.get("sweep", {})
    space = sweep.get("space", {})
    if not isinstance(space, dict):
        raise Invalid(f"{places.of('sweep', 'space')}: sweep.space is a table of parameters.", "sweep.space")
    for name, given in space.items():
        if isinstance(given, dict):
            check_keys(given, Dimension, f"[sweep.space.{name}]", places, "sweep", "space", name)
    whole = dict(table)
    if space:
        whole["sweep"] = sweep | {"space": {name: _ranged(given, params.get(name)) for name, given in space.items()}}
    recipe = convert(whole, CommandRecipe, WHAT, places)
    _check(recipe, places)
    return recipe


def _ranged(given: Any, param: Param | None) -> Any:
    """A searched parameter without a range of its own has that of the parameter."""
    if param is None or not isinstance(given, dict) or given.keys() & {"low", "high", "choices"}:
        return given
    if param.choices:
        return given | {"choices": param.choices}
    if param.kind == "bool":
        return given | {"choices": (False, True)}
    kind = {"type": param.kind} if param.kind in ("int", "float") and "type" not in given else {}
    return given | kind | {"low": param.low, "high": param.high}


def _check(recipe: CommandRecipe, places: Places) -> None:
    def wrong(message: str, *path: str) -> Invalid:
        key = ".".join(path)
        return Invalid(f"{places.of(*path)}: {key}: {message}", key)

    for name, param in recipe.params.items():
        if not _NAME.fullmatch(name):
            raise wrong("a parameter's name has letters, digits and _ alone, and begins with no digit.", "params", name)
        if name in _KEYS:
            raise wrong(f"{name} is a key of the recipe itself; call the parameter otherwise.", "params", name)
        trouble = wrong_param(param)
        if trouble:
            raise wrong(trouble, "params", name)
    try:
        words = shlex.split(recipe.command)
    except ValueError as error:
        raise wrong(f"cannot be split into words: {error}; close the quotes.", "command") from None
    if not words:
        raise wrong('is empty; write the program and its arguments, such as "python train.py --lr {lr}".', "command")
    used: set[str] = set()
    for path, text in [*((("command",), word) for word in words), *((("env", k), v) for k, v in recipe.env.items())]:
        if "\0" in text:
            raise wrong("holds a null byte, which no program can be given.", *path)
        for name in _placeholders(text):
            used.add(name)
            if name in recipe.params or (name == DATASET and recipe.dataset):
                continue
            hint = "; the recipe names no dataset." if name == DATASET else did_you_mean(name, recipe.params)
            raise wrong(f"{{{name}}} is not a parameter{hint} {{{{ stands for a brace.", *path)
    for name in recipe.params:
        if name not in used:
            raise wrong(f"neither the command nor [env] uses it; write {{{name}}} where it goes.", "params", name)
    for name in recipe.env:
        if looks_secret(name):
            raise wrong("looks like a secret, and what is here is kept with the run; read it from a file.", "env", name)
    watched = wrong_watching(recipe.stalled_after, recipe.system_metrics)
    if watched is not None:
        raise wrong(watched[1], watched[0])
    _check_limits(recipe, wrong)
    short = wrong_needs(recipe.needs)
    if short is not None:
        raise wrong(short[1], "needs", short[0])
    _check_sweep(recipe, wrong)


def wrong_param(param: Param) -> str:
    """What is wrong with a parameter, or empty."""
    bounds = [each for each in (param.low, param.high) if each is not None]
    if bounds and param.kind not in ("int", "float"):
        return f"low and high go with numbers, and this is a {param.kind}."
    if any(not math.isfinite(each) for each in bounds) or (len(bounds) == 2 and bounds[0] > bounds[1]):
        return f"goes from {param.low} to {param.high}; wanted low at most high."
    for each in param.choices:
        if not _fits(each, param.kind):
            return f"the choice {each!r} is no {param.kind}."
    value = param.default
    if value is None:
        return ""
    if not _fits(value, param.kind):
        return f"is {value!r}, wanted a{'n' if param.kind == 'int' else ''} {param.kind}."
    if isinstance(value, str) and "\0" in value:
        return "holds a null byte, which no program can be given."
    if param.choices and value not in param.choices:
        texts = [param_text(each) for each in param.choices]
        return f"is {param_text(value)!r}{did_you_mean(param_text(value), texts)} Valid: {', '.join(texts)}."
    if not isinstance(value, str) and not (
        (param.low is None or value >= param.low) and (param.high is None or value <= param.high)
    ):
        low = "" if param.low is None else f" from {param.low}"
        high = "" if param.high is None else f" up to {param.high}"
        return f"is {value}, wanted a value{low}{high}."
    return ""


def _fits(value: Value, kind: str) -> bool:
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    return isinstance(value, {"int": int, "float": int | float, "string": str}[kind])


def _check_limits(recipe: CommandRecipe, wrong: Callable[..., Invalid]) -> None:
    if not 0 <= recipe.retries <= MOST_RETRIES:
        raise wrong(f"is {recipe.retries}, wanted 0 to {MOST_RETRIES}.", "retries")
    for key, most in (("minutes", 1e6), ("memory_mb", 1e9), ("threads", 4096), ("nice", 19)):
        value = getattr(recipe.limits, key)
        if not 0 <= value <= most:
            raise wrong(f"is {value:g}, wanted 0 to {most:g}.", "limits", key)


def _check_sweep(recipe: CommandRecipe, wrong: Callable[..., Invalid]) -> None:
    plan = recipe.sweep
    if plan is None:
        return
    trouble = wrong_plan(plan)
    if trouble is not None:
        raise wrong(trouble[1], "sweep", *trouble[0].split("."))
    if not plan.metric:
        raise wrong('has no metric; say which one the command logs, such as metric = "loss".', "sweep")
    if not plan.direction:
        raise wrong('has no direction; add direction = "minimize" or "maximize".', "sweep")
    for name, each in plan.space.items():
        if name not in recipe.params:
            raise wrong(f"{name!r} is not a parameter{did_you_mean(name, recipe.params)}", "sweep", "space", name)
        for end in each.choices or (each.low, each.high):
            trouble_ = wrong_param(msgspec.structs.replace(recipe.params[name], default=end))
            if trouble_:
                raise wrong(f"a value of it cannot be set: {trouble_}", "sweep", "space", name)
