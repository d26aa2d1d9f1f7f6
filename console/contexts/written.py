"""A context written down at the end of config.toml."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.contract import Invalid
from console.config import Context, config_path, load_config, read_context

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


def check_new(context: Context, path: Path | None = None) -> str:
    """What the configuration says so far. Invalid where the context could not be added to it, which is worth knowing
    before a server is asked."""
    target = path or config_path()
    config = load_config(target)
    if context.name in config.contexts:
        raise Invalid(
            f"{target}: there is a context {context.name} already; take another name, or change it there", "name"
        )
    if not _NAME.fullmatch(context.name):
        raise Invalid(f"a context's name has letters, digits, - and _, and {context.name[:60]!r} has others", "name")
    table = _plain(context)
    read_context(table.pop("name"), table, target)
    return target.read_text(encoding="utf-8") if target.exists() else ""


def add_context(context: Context, path: Path | None = None) -> Path:
    """Append a context to the configuration. Every byte that is there stays; nothing is written if it would not read.

    Invalid where the name is taken, or the whole could not be read afterwards.
    """
    target = path or config_path()
    before = check_new(context, target)
    gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        fresh.write_text(before + gap + _toml(context), encoding="utf-8")
        fresh.chmod(target.stat().st_mode & 0o777 if before else 0o600)
        load_config(fresh)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    return target


def _toml(context: Context) -> str:
    """The context as a table: what differs from the defaults."""
    table = _plain(context)
    lines = [f"[contexts.{table.pop('name')}]"]
    return "\n".join(lines + [f"{key} = {_toml_value(value)}" for key, value in table.items()]) + "\n"


def _plain(record: msgspec.Struct) -> dict[str, Any]:
    """What was given of a record, as mappings: fields without a default, and those that differ from it."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if value != default:
            found[field.name] = _within(value)
    return found


def _within(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return _plain(value)
    return {key: _within(each) for key, each in value.items()} if isinstance(value, Mapping) else value


def _toml_value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml_value(key)} = {_toml_value(each)}" for key, each in value.items()) + " }"
    # JSON's strings, booleans and numbers are TOML's too.
    return msgspec.json.encode(value).decode()
