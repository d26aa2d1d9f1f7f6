"""A recipe: which data, which target, how to split, prepare, fit and measure. TOML in, one frozen record out.

Light on purpose: nothing here imports scikit-learn, so that a console can check a recipe while someone types it.
What only the library knows (does this class exist, has it this parameter) `console.training.estimator` checks in the
worker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from backends.contract import Invalid
from backends.entities import Column, Record
from console.toml_form import did_you_mean, parse_toml, read_toml
from console.training.audit.rules import AuditRules, wrong_rule
from console.training.needs import NeedsTable, wrong_needs
from console.training.sweep.space import Dimension, SweepPlan, wrong_plan
from console.training.toml_text import param_text, to_toml, toml_value
from console.training.watching import wrong_watching

CLASSIFICATION_METRICS = ("auc", "log_loss", "accuracy", "brier", "f1")
REGRESSION_METRICS = ("rmse", "mae", "r2")
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae"})


class Split(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How rows are held out for the test. `time`: the latest; `group`: whole groups; `random`: stratified by class."""

    by: Literal["random", "time", "group"] = "random"
    column: str = ""
    test: float = 0.25
    """Share of the rows held out, between 0 and 1."""
    folds: int = 0
    """Cross-validation folds within the training rows; 0 for none."""


class NumericSteps(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    impute: Literal["auto", "none", "median", "mean", "most_frequent", "zero"] = "auto"
    """`auto`: the median, unless the estimator takes missing values itself."""
    scale: bool | None = None
    """None: only for estimators that are not trees."""


class CategoricalSteps(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    encode: Literal["auto", "onehot", "ordinal", "drop"] = "auto"
    """`auto`: ordinal for trees, else one-hot."""
    min_frequency: float | int | None = None
    """Levels rarer than this (a count, or a share below 1) are put together."""
    max_levels: int | None = None
    """At most this many levels of a column are told apart; by default 64 one-hot, 250 ordinal."""


class DatetimeSteps(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    encode: Literal["parts", "drop"] = "parts"
    """`parts`: month, day of month, day of week, hour."""


class Preprocess(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    numeric: NumericSteps = NumericSteps()
    categorical: CategoricalSteps = CategoricalSteps()
    datetime: DatetimeSteps = DatetimeSteps()


class EstimatorChoice(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    class_: str = msgspec.field(name="class")
    params: dict[str, Any] = msgspec.field(default_factory=dict)


class MetricChoice(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    report: tuple[str, ...] = ()
    """Empty: all that suit the task."""
    primary: str = ""


class Recipe(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a training run does."""

    dataset: str
    """`name` (its latest version) or `name@version`."""
    target: str
    task: Literal["classification", "regression"]
    estimator: EstimatorChoice
    name: str = ""
    experiment: str = "default"
    positive: str | int | bool | None = None
    """The class that scores are the probability of."""
    features: str = ""
    """`name` or `name@version` of a feature set: its features are learned from, and nothing else."""
    columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    time: str = ""
    """The column that says when a row happened. It is no feature unless `columns` names it; with it the reference
    profile knows how much one day differs from the whole, so that weather is not taken for drift."""
    seed: int = 0
    register: str = ""
    """Name of the model to register the result under."""
    note: str = ""
    stalled_after: float | None = None
    """Minutes without a metric, progress or output after which a run counts as stalled; 0 for never."""
    system_metrics: bool | int | float = True
    """What machine and processes take, as metrics of the run: not at all (`false`), or how many seconds apart."""
    split: Split = Split()
    preprocess: Preprocess = Preprocess()
    metrics: MetricChoice = MetricChoice()
    audit: AuditRules = AuditRules()
    needs: NeedsTable = NeedsTable()
    """What a run waits for until it has it to itself."""
    launch: dict[str, str | int | float] = msgspec.field(default_factory=dict)
    """What a cluster is told besides: partition, time limit, `resource.NAME`. Elsewhere it is passed over."""
    sweep: SweepPlan | None = None
    """What is searched when the recipe is swept; a single run does not look at it."""

    @property
    def time_column(self) -> str:
        """When a row happened, or empty."""
        return self.time or (self.split.column if self.split.by == "time" else "")

    @property
    def aside(self) -> tuple[str, ...]:
        """Columns that tell rows apart without being features."""
        split = self.split.column if self.split.by != "random" else ""
        return tuple(dict.fromkeys(name for name in (split, self.time) if name))

    def report(self) -> tuple[str, ...]:
        """The metrics to report, in order."""
        return self.metrics.report or (CLASSIFICATION_METRICS if self.task == "classification" else REGRESSION_METRICS)

    def primary(self) -> str:
        return self.metrics.primary or self.report()[0]


_TABLES: dict[str, type[Record]] = {
    "": Recipe,
    "split": Split,
    "preprocess": Preprocess,
    "preprocess.numeric": NumericSteps,
    "preprocess.categorical": CategoricalSteps,
    "preprocess.datetime": DatetimeSteps,
    "estimator": EstimatorChoice,
    "metrics": MetricChoice,
    "audit": AuditRules,
    "needs": NeedsTable,
    "sweep": SweepPlan,
}


def load_recipe(path: Path) -> Recipe:
    return parse_recipe(read_recipe(path), str(path))


def read_recipe(path: Path) -> str:
    """The text of a recipe file."""
    return read_toml(path, "recipe file")


def parse_recipe(text: str, source: str = "recipe") -> Recipe:
    """The recipe in this TOML text. Invalid names the file, line and key, and the nearest valid key."""
    return recipe_from(parse_toml(text, source), _Place(source, text))


def override_recipe(text: str, overrides: Mapping[str, Any], source: str = "recipe") -> str:
    """The recipe's TOML with some keys set anew: `seed`, `split.test`, `estimator.params.max_depth`, or just
    `max_depth`.

    A bare name that is no key of a recipe is a parameter of the estimator. Text values are read as TOML values where
    they are such (`0.1`, `true`, `[1, 2]`), else as text.
    """
    if not overrides:
        return text
    table = parse_toml(text, source)
    for key, value in overrides.items():
        path = key.split(".")
        if len(path) == 1 and key not in _keys(""):
            path = ["estimator", "params", key]
        here = table
        for part in path[:-1]:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise Invalid(f"{key}: {part} is a value, not a table, so nothing can be set in it.", key)
        here[path[-1]] = toml_value(value) if isinstance(value, str) else value
    recipe_from(table, _Place(source, ""))
    return to_toml(table)


def check_columns(recipe: Recipe, columns: Iterable[Column], dataset: str) -> None:
    """Invalid when the recipe names a column that the dataset version does not have."""
    names = [column.name for column in columns]
    wanted = [("target", recipe.target)]
    if recipe.split.by != "random":
        wanted.append(("split.column", recipe.split.column))
    if recipe.time:
        wanted.append(("time", recipe.time))
    wanted += [("columns", name) for name in recipe.columns] + [("exclude", name) for name in recipe.exclude]
    for field, name in wanted:
        if name not in names:
            raise Invalid(
                f"{field} {name!r} is not a column of {dataset}{did_you_mean(name, names)} "
                f"It has {len(names)} columns: {_some(names)}.",
                field,
            )


def flat_params(recipe: Recipe) -> dict[str, str]:
    """The recipe as run parameters: the estimator's own under their bare names, so that runs line up in a table."""
    plain = msgspec.to_builtins(recipe)
    params: dict[str, str] = {}

    def put(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                put(f"{prefix}.{key}" if prefix else key, inner)
        elif value not in (None, "", [], ()):
            params[prefix] = param_text(value)

    for key in ("target", "task", "positive", "features", "columns", "exclude", "time", "seed", "split", "preprocess"):
        put(key, plain[key])
    params["estimator"] = recipe.estimator.class_
    for key, value in recipe.estimator.params.items():
        name = f"estimator.{key}" if key in params else key
        put(name, value)
    return params


class _Place:
    """Where in which file a key stands."""

    def __init__(self, source: str, text: str) -> None:
        self.source = source
        self._lines = text.splitlines()

    def of(self, path: str) -> str:
        """`file:line`, or `file` where the line cannot be told."""
        table, _, key = path.rpartition(".")
        here = ""
        for number, line in enumerate(self._lines, 1):
            header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
            if header:
                here = re.sub(r"[\s\"']", "", header[1])
                if here == path:
                    return f"{self.source}:{number}"
                continue
            found = re.match(r"\s*([^=#]+?)\s*=", line)
            if found:
                dotted = re.sub(r"[\s\"']", "", found[1])
                full = f"{here}.{dotted}" if here else dotted
                if full == path or path.startswith(f"{full}.") or (here == table and dotted == key):
                    return f"{self.source}:{number}"
        return self.source


def recipe_from(table: dict[str, Any], place: _Place) -> Recipe:
    _check_keys(table, "", place)
    for key in ("dataset", "target", "task", "estimator"):
        if key not in table:
            example = {"task": 'task = "classification"', "estimator": '[estimator] with class = "…"'}.get(
                key, f'{key} = "…"'
            )
            raise Invalid(f"{place.source}: the recipe does not say its {key}; add {example}.", key)
    try:
        recipe = msgspec.convert(table, Recipe)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        path = where.strip("`.").replace("[...]", "")
        raise Invalid(f"{place.of(path)}: {path or 'recipe'}: {_plain(message, path)}", path) from None
    _check_values(recipe, place)
    return recipe


def _plain(message: str, path: str) -> str:
    found = re.match(r"Invalid enum value '(.*)'$", message)
    if not found:
        return f"{message[0].lower()}{message[1:]}."
    table, _, key = path.rpartition(".")
    fields = msgspec.structs.fields(Dimension if table == "sweep.space" else _TABLES[table])
    valid = get_args(next(field.type for field in fields if field.encode_name == key))
    return f"{found[1]!r} is not known{did_you_mean(found[1], valid)} Valid: {', '.join(valid)}."


def _check_keys(table: Mapping[str, Any], path: str, place: _Place) -> None:
    valid = _keys(path)
    for key, value in table.items():
        full = f"{path}.{key}" if path else key
        if key not in valid:
            where = f"in [{path}]" if path else "in a recipe"
            raise Invalid(
                f"{place.of(full)}: {key!r} is not a key {where}{did_you_mean(key, valid)} Valid: {', '.join(valid)}.",
                full,
            )
        if full in _TABLES:
            if not isinstance(value, dict):
                raise Invalid(f"{place.of(full)}: {full} is a table: write [{full}] and its keys under it.", full)
            _check_keys(value, full, place)


def _keys(path: str) -> list[str]:
    return list(_TABLES[path].__struct_encode_fields__)


def _check_values(recipe: Recipe, place: _Place) -> None:
    def wrong(path: str, message: str) -> Invalid:
        return Invalid(f"{place.of(path)}: {path}: {message}", path)

    valid = CLASSIFICATION_METRICS if recipe.task == "classification" else REGRESSION_METRICS
    for path, names in (("metrics.report", recipe.metrics.report), ("metrics.primary", (recipe.metrics.primary,))):
        for name in filter(None, names):
            if name not in valid:
                raise wrong(
                    path,
                    f"{name!r} is not a metric of {recipe.task}{did_you_mean(name, valid)} Valid: {', '.join(valid)}.",
                )
    trouble = wrong_watching(recipe.stalled_after, recipe.system_metrics)
    if trouble is not None:
        raise wrong(*trouble)
    trouble = wrong_rule(recipe.audit)
    if trouble is not None:
        raise wrong(f"audit.{trouble[0]}", trouble[1])
    trouble = wrong_needs(recipe.needs)
    if trouble is not None:
        raise wrong(f"needs.{trouble[0]}", trouble[1])
    trouble = wrong_plan(recipe.sweep) if recipe.sweep is not None else None
    if trouble is not None:
        raise wrong(f"sweep.{trouble[0]}", trouble[1])
    if recipe.sweep is not None and (recipe.sweep.metric or recipe.sweep.direction):
        raise wrong("sweep.metric", "goes with a command; with an estimator say metrics.primary.")
    if recipe.metrics.primary and recipe.metrics.report and recipe.metrics.primary not in recipe.metrics.report:
        raise wrong("metrics.primary", f"{recipe.metrics.primary!r} is not in metrics.report; add it there.")
    if not 0 < recipe.split.test < 1:
        raise wrong("split.test", f"is {recipe.split.test}, wanted a share between 0 and 1, such as 0.25.")
    if recipe.split.by != "random" and not recipe.split.column:
        raise wrong("split", f'by = {recipe.split.by!r} needs a column; add column = "…" under [split].')
    if recipe.split.folds < 0 or recipe.split.folds == 1:
        raise wrong("split.folds", f"is {recipe.split.folds}, wanted 0 (none) or at least 2.")
    if recipe.columns and recipe.exclude:
        raise wrong("exclude", "give columns or exclude, not both.")
    if recipe.target in recipe.columns:
        raise wrong("columns", f"holds the target {recipe.target!r}: the model would be told the answer. Remove it.")
    if recipe.positive is not None and recipe.task == "regression":
        raise wrong("positive", "regression has no positive class; remove it.")
    if not 0 <= recipe.seed < 2**32:
        raise wrong("seed", f"is {recipe.seed}, wanted a whole number from 0 to {2**32 - 1}.")
    if "." not in recipe.estimator.class_:
        raise wrong(
            "estimator.class",
            f'is {recipe.estimator.class_!r}, wanted an import path such as "sklearn.linear_model.LogisticRegression".',
        )


def _some(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
