"""Keep pyarrow from importing pandas, which it does at its first array or scalar only to ask whether it was given one
of pandas' own: half a second of CPU in a process that lives for one or two.

For a process of its own alone: pyarrow remembers the answer, and then has no way to and from frames.
"""

from __future__ import annotations

import sys
from typing import Any


class _NoPandas:
    """A finder that says there is none."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "pandas":
            raise ImportError(name)


def spare_pandas() -> None:
    """Nothing, where pandas is loaded already."""
    if "pandas" in sys.modules:
        return
    finder: Any = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        import pyarrow as pa

        pa.scalar(0)
    finally:
        sys.meta_path.remove(finder)
