"""The guesses of all columns while a source is read, and what a person should know about how each was read."""

from __future__ import annotations

import copy
from typing import Any

from backends.contract import Invalid
from backends.entities import Column
from console.data.inference import MISSING_WORDS, Guess, TypeClashError, TypedGuess, column_type
from console.data.reader import Source

WORDS = {
    "int": "whole numbers",
    "float": "numbers",
    "bool": "true or false",
    "date": "dates",
    "datetime": "times",
}


class ColumnGuesses:
    """One guess a column, in order of first appearance."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._guesses: dict[str, Guess] = {}
        self._first: dict[str, str] = {}
        """The part in which a column first appeared."""
        self._text: dict[str, str] = {}
        """Columns that are text by now: why, where they began as something else."""

    def observe(self, batch: Any) -> None:
        """Widen as far as this batch asks for. Invalid where two files clash."""
        for field, array in zip(batch.schema, batch.columns, strict=True):
            guess = self._guesses.get(field.name)
            if guess is None:
                guess = self._guesses[field.name] = self._source.guess(field)
                self._first[field.name] = self._source.part()
            watched = field.name not in self._text and not isinstance(guess, TypedGuess)
            before = copy.copy(guess) if watched else guess
            try:
                guess.observe(array)
            except TypeClashError as clash:
                have = column_type(guess.arrow_type)
                raise Invalid(
                    f"{self._source.part()}: column {field.name!r} holds {clash}, and {have} in "
                    f"{self._first[field.name]}. Bring both to one type, or leave the column out: --columns",
                    "columns",
                ) from None
            if watched and _is_text(guess):
                self._note_turn(field.name, before, array)

    def schema(self) -> Any:
        import pyarrow as pa

        return pa.schema([(name, guess.arrow_type) for name, guess in self._guesses.items()])

    def convert(self, batch: Any, schema: Any) -> Any:
        """The batch in the schema's types and order; what it does not have is missing."""
        import pyarrow as pa

        at = {name: index for index, name in enumerate(batch.schema.names)}
        arrays = []
        for field in schema:
            if field.name not in at:
                arrays.append(pa.nulls(batch.num_rows, field.type))
                continue
            try:
                arrays.append(self._guesses[field.name].convert(batch.column(at[field.name])))
            except pa.ArrowException as error:
                said = str(error).split("\n")[0]
                raise Invalid(f"{self._source.part()}: column {field.name!r}: {said}.", "columns") from error
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def described(self, nulls: dict[str, int]) -> tuple[Column, ...]:
        """As they are written down with the version."""
        return tuple(
            Column(name=name, type=column_type(guess.arrow_type), nulls=nulls[name], note=self._note(name, guess))
            for name, guess in self._guesses.items()
        )

    def _note(self, name: str, guess: Guess) -> str:
        kind = guess.arrow_type
        about = self._source.about(name)
        turned = "" if about.startswith("kept as text") else self._text.get(name, "")
        said = "" if (turned or about) and guess.note.startswith("mixed types") else guess.note
        typed = str(kind) if column_type(kind) == "other" else ""
        return "; ".join(part for part in (turned, said, about, typed) if part)

    def _note_turn(self, name: str, before: Guess, array: Any) -> None:
        """The column is text with this batch. Say which row made it so, unless it was text from its first value on."""
        import pyarrow as pa
        import pyarrow.compute as pc

        real = pc.is_valid(array)
        if pa.types.is_string(array.type):
            words = pc.is_in(array, value_set=pa.array(MISSING_WORDS, pa.string()))
            real = pc.and_(real, pc.invert(words))
        first = pc.index(real, True).as_py()
        if first < 0:
            return
        self._text[name] = ""
        typed = first + 1  # rows that leave it something else
        if not _is_text(before):
            typed = 0
        elif _is_text(_after(before, array, typed)):
            return
        text = len(array)
        while text - typed > 1:
            middle = (typed + text) // 2
            typed, text = (typed, middle) if _is_text(_after(before, array, middle)) else (middle, text)
        kind = column_type((_after(before, array, typed) if typed else before).arrow_type)
        value = array[text - 1].as_py()
        self._text[name] = (
            f"kept as text: {self._source.where(text - 1)} holds {_shown(value)} where those before hold {WORDS[kind]}"
        )


def _is_text(guess: Guess) -> bool:
    return column_type(guess.arrow_type) == "string"


def _after(before: Guess, array: Any, rows: int) -> Guess:
    probe = copy.copy(before)
    probe.observe(array.slice(0, rows))
    return probe


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:39]}…"
