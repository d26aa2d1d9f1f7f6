"""What a request asks: fields of its JSON body or of its query, checked and typed as the protocol has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from backends.mlflow.server.answers import Failure, invalid


class Asked:
    """The fields of one request. Unknown ones are passed over: newer clients send more."""

    def __init__(self, fields: Mapping[str, Any], raw: bytes = b"") -> None:
        self._fields = fields
        self.raw = raw

    def __contains__(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def text(self, name: str, *also: str, default: str | None = "") -> str:
        """A text; `also` are older names of the same field. Without a default the field is required."""
        for each in (name, *also):
            value = self._fields.get(each)
            if value is None or value == "":
                continue
            if not isinstance(value, str):
                raise invalid(f"Invalid value for parameter '{each}': a string is wanted, not {type(value).__name__}")
            return value
        if default is None:
            raise invalid(f"Missing value for required parameter '{name}'")
        return default

    def given(self, name: str) -> str | None:
        """A text that may be empty, or None where it is not given at all."""
        value = self._fields.get(name)
        if value is not None and not isinstance(value, str):
            raise invalid(f"Invalid value for parameter '{name}': a string is wanted, not {type(value).__name__}")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        value = self._fields.get(name)
        if value is None or value == "":
            if default is None:
                raise invalid(f"Missing value for required parameter '{name}'")
            return default
        return integer(name, value)

    def flag(self, name: str) -> bool:
        value = self._fields.get(name, False)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise invalid(f"Invalid value for parameter '{name}': true or false is wanted")

    def texts(self, name: str) -> list[str]:
        """A list of texts; in a query the field is repeated."""
        value = self._fields.get(name)
        if value is None:
            return []
        if isinstance(value, str):
            return [value]
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise invalid(f"Invalid value for parameter '{name}': a list of strings is wanted")
        return value

    def parts(self, name: str) -> list[Asked]:
        """A list of objects."""
        value = self._fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise invalid(f"Invalid value for parameter '{name}': a list of objects is wanted")
        return [Asked(each) for each in value]

    def part(self, name: str) -> Asked:
        value = self._fields.get(name)
        if value is not None and not isinstance(value, dict):
            raise invalid(f"Invalid value for parameter '{name}': an object is wanted")
        return Asked(value or {})

    def pairs(self, name: str) -> dict[str, str]:
        """`[{"key": …, "value": …}]`."""
        found: dict[str, str] = {}
        for each in self.parts(name):
            found[each.text("key", default=None)] = each.given("value") or ""
        return found

    def limit(self, name: str, default: int, most: int) -> int:
        value = self.integer(name, default)
        if not 0 < value <= most:
            raise invalid(f"Invalid value {value} for parameter '{name}' supplied: it must be from 1 to {most:,}")
        return value


def integer(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise invalid(f"Invalid value for parameter '{name}': a whole number is wanted")
    try:
        found = int(value)
    except (ValueError, OverflowError):
        raise invalid(f"Invalid value for parameter '{name}': a whole number is wanted") from None
    if isinstance(value, float) and found != value:
        raise invalid(f"Invalid value for parameter '{name}': a whole number is wanted")
    if not -(2**63) <= found < 2**63:
        raise invalid(f"Invalid value for parameter '{name}': it is beyond 64 bits")
    return found


def number(name: str, value: Any) -> float:
    """A number, or one of the protocol's words for what JSON cannot say."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    raise invalid(f"Invalid value for parameter '{name}': a number is wanted")


__all__ = ["Asked", "Failure", "integer", "number"]
