"""Any record, field by field: what `d` shows where a pane has nothing better."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from console.safe import safe_lines, safe_text
from console.tui import ink, state
from console.tui.lines import Line
from console.wording import ago, duration, local_time, number, size

MLFLOWS = ("mlflow.", "_mlflow")
"""How the tags begin that MLflow's clients write for themselves."""


def own_tags(tags: Mapping[str, str], *, everything: bool = False) -> tuple[list[tuple[str, str]], int]:
    """The tags that a person set, by name, and how many of MLflow's own stand behind them; with `everything`, all."""
    shown = [(name, value) for name, value in sorted(tags.items()) if everything or not name.startswith(MLFLOWS)]
    return shown, len(tags) - len(shown)


def hidden_line(hidden: int) -> Line:
    return Line([(f" {hidden} of MLflow's own: d shows them", "dim")])


def record_lines(record: object) -> list[Line]:
    """A record's fields, empty ones left out, nested ones indented. Every value is the raw one, made safe."""
    if not isinstance(record, msgspec.Struct):
        return [Line([(line, "")]) for line in safe_lines(record)]
    lines: list[Line] = []
    _struct(record, lines, "")
    return lines


def field(name: str, spans: ink.Spans | str, indent: str = "", width: int = 14) -> Line:
    """`name   value`, with the names in one column."""
    shown = [(spans, "")] if isinstance(spans, str) else spans
    return Line([(f" {indent}{ink.fit(safe_text(name), max(1, width - len(indent)))} ", "dim"), *shown])


def _struct(record: msgspec.Struct, lines: list[Line], indent: str) -> None:
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if value is None or value in ("", (), {}, b""):
            continue
        _value(name, value, lines, indent)


def _value(name: str, value: object, lines: list[Line], indent: str) -> None:
    shown = name.replace("_", " ")
    match value:
        case msgspec.Struct():
            lines.append(field(shown, "", indent))
            _struct(value, lines, indent + "  ")
        case Mapping():
            lines.append(field(shown, f"{len(value)}", indent))
            width = min(32, max((len(str(key)) for key in value), default=8) + 4)
            for key, item in value.items():
                text = number(item) if isinstance(item, float) else safe_text(item)
                lines.append(field(str(key), text, indent + "  ", width))
        case tuple() | list():
            lines.append(field(shown, f"{len(value)}", indent))
            for item in value:
                if isinstance(item, msgspec.Struct):
                    lines.append(Line([(f" {indent}  {_summary(item)}", "")]))
                else:
                    lines.append(Line([(f" {indent}  {safe_text(item)}", "")]))
        case bytes():
            lines.append(field(shown, f"{len(value)} bytes", indent))
        case bool():
            lines.append(field(shown, "yes" if value else "no", indent))
        case int() if name.endswith("_at") or name == "at":
            lines.append(field(shown, [(local_time(value), ""), (f"   {ago(value)}", "dim")], indent))
        case int() if name == "bytes":
            lines.append(field(shown, size(value), indent))
        case float() if name.endswith("_s"):
            lines.append(field(shown, duration(value), indent))
        case float():
            lines.append(field(shown, number(value), indent))
        case _ if name in ("status", "state", "outcome"):
            lines.append(field(shown, [state.span(str(value))], indent))
        case _:
            rows = safe_lines(value)
            lines.append(field(shown, rows[0] if rows else "", indent))
            lines += [field("", row, indent) for row in rows[1:]]


def _summary(item: msgspec.Struct) -> str:
    parts = []
    for name in item.__struct_fields__:
        value = getattr(item, name)
        if value is None or value in ("", (), {}, b"") or isinstance(value, bytes | msgspec.Struct):
            continue
        shown = str(safe_text(value, 48))
        parts.append(shown if name in ("name", "type", "path", "gate", "status") else f"{name} {shown}")
    return "  ".join(parts)
