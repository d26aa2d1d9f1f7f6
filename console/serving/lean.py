"""Importing scikit-learn into a server without what its imports take along where it happens to be installed.

pandas imports pyarrow, and skops by way of scikit-learn's own tests pytest: 50 MB that serving never asks for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

UNASKED: Final = ("pyarrow", "pytest", "matplotlib", "IPython", "polars", "numexpr", "bottleneck", "numba")


def import_lean() -> None:
    """For a process that does nothing but serve: pandas stays without pyarrow in it."""
    loaded: dict[str, Any] = sys.modules  # None says: it is not there
    absent = [name for name in UNASKED if name not in loaded]
    loaded.update(dict.fromkeys(absent))
    try:
        for name in ("pandas", "skops.io", "console.serving.loaded"):
            import_module(name)
    finally:
        for name in absent:
            if loaded.get(name, ...) is None:
                del loaded[name]
