"""Plain values as TOML text, the way recipes are kept."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from backends.contract import Invalid


def toml_value(text: str) -> Any:
    """What the text means as a TOML value (`0.1`, `true`, `[1, 2]`), else the text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text


def param_text(value: Any) -> str:
    """As a run's parameter shows it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(param_text(item) for item in value)
    return str(value)


def to_toml(table: Mapping[str, Any], path: str = "") -> str:
    """TOML text of plain values, arrays and tables: values first, then each table under its header."""
    lines = [f"{_toml_key(key)} = {_toml_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    text = "\n".join(lines) + ("\n" if lines else "")
    for key, value in table.items():
        if isinstance(value, dict):
            full = f"{path}.{_toml_key(key)}" if path else _toml_key(key)
            text += f"\n[{full}]\n" + to_toml(value, full)
    return text


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml_text(key)


def _toml_text(text: str) -> str:
    return '"' + "".join(
        {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char, char)
        if char.isprintable() or char in "\n\t\r"
        else (f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")
        for char in text
    ) + '"'  # fmt: skip


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _toml_text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml_value(inner)}" for key, inner in value.items()) + "}"
    if value is None:
        raise Invalid("TOML has no empty value; leave the key out instead.")
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)
