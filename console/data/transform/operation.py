"""A step bound to the columns that reach it: what it reads, what it learns, what it makes of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from backends.contract import Invalid
from backends.entities import ColumnType
from console.data.inference import column_type
from console.data.transform.grammar import SELECTORS, ColumnStep, Recipe
from console.data.transform.learners import Learner
from console.data.transform.rows import Flow, Rows, Schema
from console.toml_form import did_you_mean

NUMBERS = frozenset({ColumnType.INT, ColumnType.FLOAT})
AMOUNTS = NUMBERS | {ColumnType.BOOL}
LEVELS = frozenset({ColumnType.STRING, ColumnType.INT, ColumnType.BOOL})
ANYTHING = frozenset(ColumnType)

_WORDS = {
    ColumnType.INT: "whole numbers",
    ColumnType.FLOAT: "floats",
    ColumnType.BOOL: "booleans",
    ColumnType.STRING: "text",
    ColumnType.DATETIME: "times",
    ColumnType.DATE: "dates",
    ColumnType.OTHER: "nested values",
}


class NotYet(Exception):
    """The columns here are known only once an earlier step is fitted."""


class Context:
    """What binding needs besides the recipe: other versions for joins, a folder for what does not fit in memory."""

    def __init__(self, folder: Path, other: Callable[[str], Any]) -> None:
        self.folder = folder
        self.other = other
        """A dataset version and an opener of its stored file, by reference."""


class Operation:
    """Bound to a schema. `state` is what was fitted, as JSON knows it; None until then."""

    changes_rows = False
    opens = False
    """Which columns it makes is known only once it is fitted."""

    def __init__(self, step: Any, number: int, recipe: Recipe, schema: Schema, context: Context) -> None:
        self.step: Any = step
        self.number = number
        self.recipe = recipe
        self.context = context
        self.state: Any = None
        self.reads: set[str] = set()
        """Columns it takes to be applied."""
        self.learns_from: set[str] = set()
        """Columns it takes to be fitted; empty where it learns nothing."""
        self.writes: set[str] = set()
        self.bind(schema)

    # ------------------------------------------------------------ what each kind says

    def bind(self, schema: Schema) -> None:
        """Check the columns, set `reads`, `learns_from` and `writes`."""
        raise NotImplementedError

    def out(self, schema: Schema) -> Schema:
        """The columns after it. Where it `opens`, only once it is fitted."""
        raise NotImplementedError

    def learner(self) -> Learner | None:
        """For the next reading of the rows; None when it is ready to be applied."""
        return None

    def learned(self, found: Any) -> None:
        """Take what the learner found."""
        self.load(found)

    def load(self, state: Any) -> None:
        """Take a state, fresh or kept."""
        self.state = state

    def start(self) -> None:
        """The rows come from the first again."""

    def apply(self, rows: Rows, flow: Flow) -> Rows:
        raise NotImplementedError

    def told(self) -> str:
        """What it learned, in a line for people."""
        return ""

    # ------------------------------------------------------------ what they share

    def wrong(self, key: str, message: str) -> Invalid:
        return Invalid(f"{self.recipe.where(self.number, key)}: {key}: {message}", key)

    def concerns(self, flow: Flow) -> bool:
        """The step is for this part. One that names parts leaves later data alone."""
        return not self.step.parts or flow.part in self.step.parts

    def named(
        self, schema: Schema, names: Iterable[str], key: str, kinds: Iterable[ColumnType] = ANYTHING
    ) -> list[str]:
        """The names, each a column (if perhaps one that may lack here). Invalid where one is none, or of a kind that
        will not do."""
        found = []
        allowed = frozenset(kinds)
        for name in names:
            if not schema.absent.get(name, True):
                raise Invalid(
                    f"{self.recipe.where(self.number, key)} reads {name!r}, which this data does not have. "
                    "If it is known only afterwards, name it in labels at the head of the recipe.",
                    key,
                )
            if name not in schema.types:
                if schema.open:
                    raise NotYet
                known = list(schema.types)
                some = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
                raise self.wrong(key, f"{name!r} is not a column here{did_you_mean(name, known)} There are: {some}.")
            kind = column_type(schema.types[name])
            if kind not in allowed:
                wanted = " or ".join(_WORDS[each] for each in ColumnType if each in allowed)
                raise self.wrong(
                    key, f"{name!r} holds {_WORDS[kind]}; {self.step.do} takes {wanted}. Cast it in a step before."
                )
            found.append(name)
        return found

    def chosen(self, schema: Schema, kinds: Iterable[ColumnType]) -> list[str]:
        """The columns of a step that does the same to each of them."""
        step: ColumnStep = self.step
        if isinstance(step.columns, str) and step.columns in SELECTORS:
            if schema.open:
                raise NotYet
            fitting = {
                "numeric": NUMBERS,
                "text": frozenset({ColumnType.STRING}),
                "all": ANYTHING,
            }[step.columns] & frozenset(kinds)  # fmt: skip
            names = [name for name, kind in schema.types.items() if column_type(kind) in fitting]
            for name in step.except_:
                if name not in schema.types:
                    raise self.wrong("except", f"{name!r} is not a column here{did_you_mean(name, schema.types)}")
            names = [name for name in names if name not in step.except_]
            if not names:
                raise self.wrong("columns", f"no column here is {SELECTORS[step.columns]}.")
            return self.named(schema, names, "columns")
        listed = (step.columns,) if isinstance(step.columns, str) else step.columns
        return [name for name in self.named(schema, listed, "columns", kinds) if name not in step.except_]

    def fresh(self, schema: Schema, names: Iterable[str], key: str = "suffix") -> None:
        """Invalid where a column that is to come is there already."""
        for name in names:
            if name in schema.types:
                raise self.wrong(key, f"would make a column {name!r}, and there is one; rename or drop that first.")


class PerColumn(Operation):
    """A step whose every column is made from the one column alone, in its place or beside it.

    `every` are its columns, `names` those of them that the rows have.
    """

    kinds = AMOUNTS

    def bind(self, schema: Schema) -> None:
        self.every = self.chosen(schema, self.kinds)
        self.names = [name for name in self.every if name not in schema.absent]
        self.types = {name: schema.types[name] for name in self.every}
        self.made = {name: f"{name}{self.step.suffix}" for name in self.every}
        if self.step.suffix:
            self.fresh(schema, self.made.values())
        self.reads = set(self.names)
        self.writes = set(self.made.values())
        self.learns_from = set(self.names) if self.needs_fit() else set()

    def needs_fit(self) -> bool:
        return True

    def type_of(self, name: str) -> Any:  # noqa: ARG002
        """The Arrow type of what becomes of a column."""
        import pyarrow as pa

        return pa.float64()

    def out(self, schema: Schema) -> Schema:
        return schema.with_(
            {self.made[name]: self.type_of(name) for name in self.every},
            absent=[self.made[name] for name in self.every if name not in self.names],
        )

    def apply(self, rows: Rows, flow: Flow) -> Rows:  # noqa: ARG002
        return rows.with_({self.made[name]: self.one(name, rows.columns[name]) for name in self.names})

    def one(self, name: str, array: Any) -> Any:
        raise NotImplementedError


def per_column(state: Mapping[str, Any], text: Callable[[Any], str], most: int = 6) -> str:
    """`a 1.2, b 3, and 4 more`."""
    parts = [f"{name} {text(value)}" for name, value in list(state.items())[:most]]
    return ", ".join(parts) + (f", and {len(state) - most} more" if len(state) > most else "")
