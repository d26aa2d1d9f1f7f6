"""What a transform recipe may say: one record a step. Light: nothing here imports Arrow.

    name = "prepare"                   # kept under this name; without it the file's
    labels = ["arr_delay"]             # known only afterwards: later data may lack them

    [[step]]
    do = "derive"
    column = "late"
    as = "arr_delay > 15"

    [[step]]
    do = "split"
    by = "time"
    column = "time_hour"
    parts = { train = 0.75, test = 0.25 }

    [[step]]
    do = "impute"
    columns = "numeric"
    with = "median"

Steps are carried out in their order. Those that learn (impute, standardise, normalise, onehot, ordinal, target, and
clip and bucket without bounds of their own) stand after the split, if there is one, and learn from its `fit` part.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from backends.entities import Record

Columns = str | tuple[str, ...]
"""Names, or one of `SELECTORS`, or one name (a column that is called as a selector is named in a list)."""

SELECTORS = {"numeric": "whole numbers and floats", "text": "text", "all": "every column"}


class Step(Record, frozen=True, kw_only=True, tag_field="do", forbid_unknown_fields=True):
    """One thing that is done to the rows."""

    @property
    def do(self) -> str:
        return str(type(self).__struct_config__.tag)


class ColumnStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step that does the same to each of its columns."""

    columns: Columns
    except_: tuple[str, ...] = msgspec.field(name="except", default=())
    suffix: str = ""
    """Given, the results are new columns of these names with it, and the old ones stay."""


class Impute(ColumnStep, frozen=True, kw_only=True, tag="impute", forbid_unknown_fields=True):
    """Fill missing values. Mean and median make floats."""

    with_: Literal["mean", "median", "most_frequent", "constant"] = msgspec.field(name="with", default="median")
    value: int | float | bool | str | None = None
    """With `constant`."""
    indicator: bool = False
    """Also a column `<name>_missing` that says where it was."""


class Standardise(ColumnStep, frozen=True, kw_only=True, tag="standardise", forbid_unknown_fields=True):
    """To mean 0 and standard deviation 1 (divided by n, as scikit-learn's StandardScaler). Missing stays missing."""


class Normalise(ColumnStep, frozen=True, kw_only=True, tag="normalise", forbid_unknown_fields=True):
    """The least value to 0, the largest to 1."""

    range: tuple[float, float] = (0.0, 1.0)
    outside: Literal["keep", "clip"] = "keep"
    """Values beyond what was seen in training."""


class Clip(ColumnStep, frozen=True, kw_only=True, tag="clip", forbid_unknown_fields=True):
    """No value below `low` or above `high`, or beyond the two `quantiles` of the training part."""

    low: float | int | None = None
    high: float | int | None = None
    quantiles: tuple[float, float] | None = None


class Bucket(ColumnStep, frozen=True, kw_only=True, tag="bucket", forbid_unknown_fields=True):
    """To the number of its interval, from 0: [e0, e1), [e1, e2), …, the last one closed."""

    edges: tuple[float, ...] = ()
    bins: int = 0
    by: Literal["quantile", "width"] = "quantile"
    """How `bins` intervals are laid: with the same share of rows each, or equally wide."""
    outside: Literal["clamp", "missing", "error"] = "clamp"
    """Beyond the edges: into the first and last interval, missing, or an error."""
    labels: tuple[str, ...] = ()
    """Names of the intervals instead of their numbers."""


class LevelStep(ColumnStep, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step on the levels of text, whole numbers or booleans. A missing value is a level if training had one."""

    levels: tuple[str | int | bool, ...] = ()
    """Given, these and no others, in this order; else those of the training part, sorted."""
    max_levels: int = 0
    """At most so many, the most frequent; 0: the step's own limit, beyond which it refuses."""
    min_count: int = 0
    """Levels with fewer training rows are taken for unknown."""


class OneHot(LevelStep, frozen=True, kw_only=True, tag="onehot", forbid_unknown_fields=True):
    """A column of true and false for each level, `<name>_<level>`, in place of the column."""

    unknown: Literal["zeros", "other", "error"] = "zeros"
    """A level that training did not have: false in all, true in a column `<name>_other`, or an error."""
    drop_first: bool = False


class Ordinal(LevelStep, frozen=True, kw_only=True, tag="ordinal", forbid_unknown_fields=True):
    """The number of the level, from 0. Missing stays missing."""

    unknown: Literal["code", "missing", "error"] = "code"
    """-1, missing, or an error."""


class Target(LevelStep, frozen=True, kw_only=True, tag="target", forbid_unknown_fields=True):
    """The mean of the target among the rows of a level, drawn towards the mean of all (scikit-learn's TargetEncoder;
    Micci-Barreca 2001). The training part itself is encoded across `folds`, each by the others, so that no row's own
    target is in its features."""

    target: str
    positive: str | int | bool | None = None
    """The value of a target that is text which counts as 1."""
    smooth: float | Literal["auto"] = "auto"
    """How many rows the mean of all weighs; `auto`: the empirical Bayes estimate."""
    folds: int = 5
    """1: no folds, each row's own target leaks into its encoding."""
    seed: int = 0
    unknown: Literal["mean", "missing", "error"] = "mean"
    """The mean of all, missing, or an error."""


class Cast(ColumnStep, frozen=True, kw_only=True, tag="cast", forbid_unknown_fields=True):
    """To another type."""

    to: Literal["int", "float", "bool", "string", "datetime", "date"]
    errors: Literal["error", "missing"] = "error"
    """What does not fit: an error, or missing."""


class Filter(Step, frozen=True, kw_only=True, tag="filter", forbid_unknown_fields=True):
    """Keep the rows for which the expression holds; where it is missing it does not."""

    where: str
    parts: tuple[str, ...] = ()
    """Only these parts of the split; then it does nothing to later data."""


class Derive(Step, frozen=True, kw_only=True, tag="derive", forbid_unknown_fields=True):
    """A column from an expression, new or in the place of the old."""

    column: str
    as_: str = msgspec.field(name="as")


class Rename(Step, frozen=True, kw_only=True, tag="rename", forbid_unknown_fields=True):
    """Old name = new name."""

    columns: dict[str, str]


class Select(Step, frozen=True, kw_only=True, tag="select", forbid_unknown_fields=True):
    """Only these columns, in this order."""

    columns: tuple[str, ...]


class Drop(Step, frozen=True, kw_only=True, tag="drop", forbid_unknown_fields=True):
    """Without these columns."""

    columns: tuple[str, ...]


class Dedupe(Step, frozen=True, kw_only=True, tag="dedupe", forbid_unknown_fields=True):
    """One row of those that are alike in the `key`. Compared by 128-bit hashes: `console.data.row_hash`."""

    key: tuple[str, ...] = ()
    """Empty: the whole row."""
    keep: Literal["first", "last"] = "first"
    parts: tuple[str, ...] = ()


class Sample(Step, frozen=True, kw_only=True, tag="sample", forbid_unknown_fields=True):
    """Some of the rows, at random by a seed. Does nothing to later data."""

    share: float = 0.0
    rows: int = 0
    seed: int = 0
    key: tuple[str, ...] = ()
    """With `share`: rows with the same key stay or go together, and go on doing so when rows are added."""
    parts: tuple[str, ...] = ()


class Join(Step, frozen=True, kw_only=True, tag="join", forbid_unknown_fields=True):
    """Columns of another dataset version, by key. The version is pinned when the transform is fitted."""

    dataset: str
    on: tuple[str, ...] | dict[str, str]
    """Names, or the name here = the name there. Missing keys match nothing."""
    how: Literal["left", "inner"] = "left"
    columns: tuple[str, ...] = ()
    """Of the other version; empty: all but its keys."""
    suffix: str = ""
    """Put to the names of the columns that come."""
    many: bool = False
    """Allow that a row matches several there, and so becomes several."""


class Split(Step, frozen=True, kw_only=True, tag="split", forbid_unknown_fields=True):
    """Into named parts, each a version of its own.

    `random` and `group` go by a hash of the key, so that a row stays in its part when others are added; `time` cuts
    where the shares say, rows of one instant together, in the order of the parts.
    """

    by: Literal["random", "time", "group"] = "random"
    parts: dict[str, float] = msgspec.field(default_factory=lambda: {"train": 0.75, "test": 0.25})
    fit: str = ""
    """The part that steps learn from; empty: the first."""
    column: str = ""
    """With `time` and `group`."""
    key: tuple[str, ...] = ()
    """With `random`: the columns that tell rows apart; empty: the whole row."""
    at: tuple[str, ...] = ()
    """With `time`: the first instant of each part but the first, instead of shares."""
    seed: int = 0
    missing: Literal["error", "drop"] = "error"
    """Rows without a time or a group."""

    @property
    def fit_part(self) -> str:
        return self.fit or next(iter(self.parts))


AnyStep = (
    Impute | Standardise | Normalise | Clip | Bucket | OneHot | Ordinal | Target | Cast | Filter | Derive | Rename
    | Select | Drop | Dedupe | Sample | Join | Split
)  # fmt: skip
KINDS: dict[str, type[Step]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        Impute, Standardise, Normalise, Clip, Bucket, OneHot, Ordinal, Target, Cast, Filter, Derive, Rename, Select,
        Drop, Dedupe, Sample, Join, Split,
    )
}  # fmt: skip


class Recipe(Record, frozen=True, kw_only=True):
    """A parsed recipe. `text` is what is kept; `places` tells where each key stands in it."""

    name: str
    steps: tuple[AnyStep, ...]
    labels: tuple[str, ...] = ()
    note: str = ""
    text: str = ""
    places: Any = None

    @property
    def split(self) -> Split | None:
        return next((step for step in self.steps if isinstance(step, Split)), None)

    def where(self, number: int, *key: str) -> str:
        """`file:line: step 2 (impute)`, counted from 1."""
        return f"{self.places.of('step', number - 1, *key)}: step {number} ({self.steps[number - 1].do})"


def learns(step: Step) -> bool:
    """Whether the step is fitted to data."""
    match step:
        case Impute():
            return step.with_ != "constant"
        case Clip():
            return step.quantiles is not None
        case Bucket():
            return bool(step.bins)
        case OneHot() | Ordinal():
            return not step.levels
    return isinstance(step, Standardise | Normalise | Target)
