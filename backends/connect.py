"""From a context's words to a backend: `local:/path`, or an adapter that a package offers by entry point.

An adapter is an entry point of the group `mlops_console.backends` named as the first word of its urls (`mlflow` for
`mlflow+https://…`): a function `(name, url, sidecar) -> Backend`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from backends.contract import Backend, Invalid

GROUP: Final = "mlops_console.backends"


def connect(name: str, url: str, *, sidecar: Path | None = None, read_only: bool = False) -> Backend:
    """Open a backend. `sidecar` is the folder in which an adapter keeps what its server cannot."""
    scheme, colon, rest = url.partition(":")
    if not colon or not rest:
        raise Invalid(f"context {name}: a url like local:/path is wanted, not {url!r}.", "url")
    if scheme == "local":
        from backends.local import open_local

        # A read-only context makes no workspace where there is none.
        backend = open_local(Path(rest), create=not read_only, name=name)
    else:
        backend = _adapter(name, re.split(r"[+.]", scheme, maxsplit=1)[0])(name, url, sidecar)
    if read_only:
        from backends.readonly import read_only as reading

        return reading(backend)
    return backend


def _adapter(name: str, word: str) -> Callable[[str, str, Path | None], Backend]:
    from importlib.metadata import entry_points  # 20 ms: only for remote contexts

    found = entry_points(group=GROUP)
    for entry in found:
        if entry.name == word:
            loaded: Callable[[str, str, Path | None], Backend] = entry.load()
            return loaded
    known = ", ".join(sorted({"local", *found.names}))
    raise Invalid(f"context {name}: no adapter is installed for {word}: urls; there are {known}.", "url")
