"""One at a time decides about the promotions of a model: who asks, who agrees, who says no.

A request lies in one store and what it becomes in another, so that no transaction holds both. What dies lets go of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from backends.contract import Backend
from backends.one_at_a_time import one_at_a_time

FOLDER: Final = "deciding"
WAIT_S: Final = 20.0
_LOCKS: Final = 64
"""Files for all models together; two models that share one only wait for each other."""


@contextmanager
def alone(backend: Backend, model: str, *, wait: float = WAIT_S) -> Iterator[None]:
    """Nobody else who shares the workspace decides about this model meanwhile. Conflict where somebody still does
    after `wait` seconds."""
    if backend.home is None:
        yield
        return
    folder = backend.home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    bucket = hashlib.sha256(model.encode("utf-8", "surrogatepass")).digest()[0] % _LOCKS
    refusal = (
        f"somebody is deciding about a promotion of {model} just now, and a server may be loading it; nothing was "
        "changed. Look again in a moment, and repeat."
    )
    with one_at_a_time(folder / f"{bucket}.lock", wait=wait, refusal=refusal):
        yield
