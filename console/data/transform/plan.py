"""A recipe bound to columns: its steps in order, and which of them each reading of the rows can fit.

A step can be fitted in the same reading as earlier ones unless it looks at a column that one of those changes: then it
waits for the next reading, in which those are applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from console.data.transform import choosing, columns, join, levels, numbers, splitting
from console.data.transform.grammar import Recipe
from console.data.transform.learners import Learner
from console.data.transform.operation import Context, NotYet, Operation
from console.data.transform.rows import Flow, Rows, Schema
from console.data.transform.splitting import Splitting

KINDS: dict[str, type[Operation]] = {
    **numbers.KINDS, **levels.KINDS, **columns.KINDS, **choosing.KINDS, **join.KINDS, **splitting.KINDS,
}  # fmt: skip


class Reading(NamedTuple):
    """One way through the rows: the steps that are applied, those that learn, and the columns it takes."""

    applied: tuple[Operation, ...]
    learning: tuple[tuple[Operation, Learner], ...]
    needed: frozenset[str]
    """Of the source."""


class Plan:
    """Steps from the source's columns on. `operations` are those that could be bound so far."""

    def __init__(self, recipe: Recipe, source: Schema, context: Context) -> None:
        self.recipe = recipe
        self.source = source
        self.context = context
        self.operations: list[Operation] = []
        self.schema = source
        """After the last bound step."""
        self.whole = False
        self.counts: dict[int, list[int]] = {}
        """Rows that came to each step and left it in the last reading, by the step's number."""
        self._bind()

    @property
    def split(self) -> Splitting | None:
        return next((each for each in self.operations if isinstance(each, Splitting)), None)

    def parts(self, later: bool = False) -> list[str]:
        """Names of what it makes; one empty name where it does not split."""
        return list(self.recipe.split.parts) if self.recipe.split and not later else [""]

    def _bind(self) -> None:
        """Bind the steps from where binding stopped: an unfitted step before may hide which columns there are."""
        schema = self._schema_now()
        for number in range(len(self.operations) + 1, len(self.recipe.steps) + 1):
            step = self.recipe.steps[number - 1]
            try:
                operation = KINDS[step.do](step, number, self.recipe, schema, self.context)
            except NotYet:
                return
            self.operations.append(operation)
            schema = _after(operation, schema)
        self.whole = not schema.open
        self.schema = schema

    def _schema_now(self) -> Schema:
        schema = self.source
        for operation in self.operations:
            schema = _after(operation, schema)
        return schema

    def load(self, states: Sequence[Any]) -> None:
        """Take what was fitted before, one state a step."""
        while True:
            for operation, state in zip(self.operations, states, strict=False):
                if operation.state is None and state is not None:
                    operation.load(state)
            if self.whole:
                return
            bound = len(self.operations)
            self._bind()
            if len(self.operations) == bound and not self.whole:
                raise NotYet  # a state that does not belong to this recipe

    def reading(self) -> Reading:
        """The next one. Once nothing learns in it, it is the last: it makes the result."""
        if not self.whole:
            self._bind()
        stale: set[str] = set()
        applied: list[Operation] = []
        learning: list[tuple[Operation, Learner]] = []
        for operation in self.operations:
            learner = operation.learner()
            if learner is not None:
                if (operation.learns_from | (operation.reads if operation.changes_rows else set())) & stale:
                    if operation.changes_rows:
                        break
                else:
                    learning.append((operation, learner))
                if operation.changes_rows:
                    break  # which rows come after it is known only in the next reading
                stale |= operation.writes
            elif operation.reads & stale:
                if operation.changes_rows:
                    break
                stale |= operation.writes
            else:
                applied.append(operation)
                stale -= operation.writes
        if not learning:
            return Reading(tuple(applied), (), frozenset(self.source.present))
        return self._trimmed(applied, learning)

    def _trimmed(self, applied: Sequence[Operation], learning: list[tuple[Operation, Learner]]) -> Reading:
        """Without the steps and columns that no learner looks at."""
        first = {operation.number: operation.learns_from | operation.reads for operation, _ in learning}
        needed: set[str] = set()
        kept: list[Operation] = []
        for operation in reversed(self.operations):
            needed |= first.get(operation.number, set())
            if operation not in applied:
                continue
            if operation.changes_rows or operation.writes & needed or not operation.writes:
                kept.append(operation)
                needed |= operation.reads
        return Reading(tuple(reversed(kept)), tuple(learning), frozenset(needed & set(self.source.present)))

    def flow(self, batches: Iterable[Rows], reading: Reading, *, later: bool = False) -> Iterator[tuple[Flow, Rows]]:
        """The rows as the reading's steps make them, part by part of each batch; learners are shown them on the way.

        `later`: they are no part of what is fitted; the split does nothing to them.
        """
        for operation in (*reading.applied, *(each for each, _ in reading.learning)):
            operation.start()
        learners: Mapping[int, Learner] = {operation.number: learner for operation, learner in reading.learning}
        line = [each for each in self.operations if each in reading.applied or each.number in learners]
        split = next((each for each in line if isinstance(each, Splitting)), None)
        self.counts = {operation.number: [0, 0] for operation in line}
        for rows in batches:
            if split is None or later:
                # a recipe that splits, read up to its split: none of these rows is known to be for learning yet
                flow = Flow(training=not later and self.recipe.split is None, later=later)
                yield flow, self._through(line, rows, flow, learners)
                continue
            at = line.index(split)
            before = self._through(line[:at], rows, Flow(), learners)
            if split.number in learners:
                learners[split.number].add(before, Flow())
                continue
            for part, its_rows in split.divide(before):
                flow = Flow(part, part == split.step.fit_part)
                yield flow, self._through(line[at + 1 :], its_rows, flow, learners)

    def _through(self, line: Sequence[Operation], rows: Rows, flow: Flow, learners: Mapping[int, Learner]) -> Rows:
        for operation in line:
            count = self.counts[operation.number]
            count[0] += rows.count
            learner = learners.get(operation.number)
            if learner is None:
                rows = operation.apply(rows, flow)
            elif flow.training or not learner.training_only:
                learner.add(rows, flow)
            count[1] += rows.count
        return rows


def _after(operation: Operation, schema: Schema) -> Schema:
    if operation.opens:  # what it makes is not known yet: only its own columns are gone
        left = {name: kind for name, kind in schema.types.items() if name not in operation.writes}
        return Schema(left, schema.absent, open=True)
    return operation.out(schema)
