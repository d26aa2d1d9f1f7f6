"""Loading Textual without what this program never uses of it.

Textual's app imports its command palette, and that every widget the palette is made of; asyncio imports OpenSSL. The
screen has its own palette and speaks TLS with nobody through asyncio: together they are a tenth of the start.
"""

from __future__ import annotations

import sys
from types import ModuleType

PALETTE = "textual.command"


class _Absent(ModuleType):
    """A module whose every name is an empty class, enough to be imported, subclassed and named in annotations."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        found = type(name, (), {"__module__": self.__name__})
        setattr(self, name, found)
        return found


def load_textual() -> None:
    """Import asyncio and `textual.app`. Whoever imports `ssl` or `textual.command` afterwards gets the real ones."""
    if "asyncio" not in sys.modules and "ssl" not in sys.modules:
        sys.modules["ssl"] = None  # type: ignore[assignment]  # asyncio is made to do without
        try:
            import asyncio  # noqa: F401
        finally:
            del sys.modules["ssl"]
    if "textual.app" not in sys.modules and PALETTE not in sys.modules:
        sys.modules[PALETTE] = _Absent(PALETTE)
        try:
            import textual.app  # noqa: F401
        finally:
            del sys.modules[PALETTE]
