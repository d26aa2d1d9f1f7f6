"""A row that was asked and answered, as a line of a prediction log.

A line holds the model's input columns under their own names, and `prediction.id`, `prediction.time` (milliseconds since
1970 UTC), `prediction.version`, `prediction.value` (a class as text, or a number) and `prediction.score` (of more than
two classes `prediction.scores`, a list).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec

from console.serving.fetched import VersionFile
from console.serving.rows import Rows

_OURS: Final = ("prediction.id", "prediction.time", "prediction.version", "prediction.value")
_ENCODE: Final = msgspec.json.Encoder().encode


class Layout:
    """What the lines of one version look like. Safe to use from several threads."""

    def __init__(self, file: VersionFile, redact: AbstractSet[str] = frozenset()) -> None:
        """Columns of `redact` are left out; so is one that has a name of ours."""
        self.file = file
        self._version = file.version
        hidden = {*redact, *_OURS, "prediction.score", "prediction.scores"}
        shown = [(at, column.name) for at, column in enumerate(file.features) if column.name not in hidden]
        self._at = [at for at, _ in shown]
        self._one = _line_of(*_OURS, "prediction.score", *(name for _, name in shown))
        self._several = _line_of(*_OURS, "prediction.scores", *(name for _, name in shown))

    def lines(self, rows: Rows, predictions: list[Any] | None, scores: Any, ident: str, at: int) -> bytes:
        """A line a row, each with its end."""
        given = scores.tolist() if hasattr(scores, "tolist") else scores
        line = self._several if given and type(given[0]) is list else self._one
        columns, version, out = rows.columns, self._version, []
        for row in range(rows.count):
            value = predictions[row] if predictions else None
            made = line(
                ident if rows.count == 1 else f"{ident}#{row}",
                at,
                version,
                # Of one kind in every line: a reader of columns takes no other.
                value if value is None or type(value) is float else str(value),
                None if given is None else given[row],
                *[columns[place][row] for place in self._at],
            )
            out.append(_ENCODE(made))
        out.append(b"")
        return b"\n".join(out)


def _line_of(*names: str) -> Any:
    """A record with these keys: written in half the time that a dictionary takes."""
    fields = [f"f{at}" for at in range(len(names))]
    return msgspec.defstruct("Line", fields, rename=dict(zip(fields, names, strict=True)), gc=False)
