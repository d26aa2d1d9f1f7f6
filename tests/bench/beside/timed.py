"""What comparing two Parquet files takes; needs pandas and the standard library alone, so that any environment can run
it.

Each script beside this one calls `told(imported, work)` with a function of two frames.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

Took = tuple[float, float]
"""CPU seconds, of the user's and the system's side and of every process that has ended; and wall seconds."""


def now() -> Took:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, time.perf_counter()


def since(began: Took) -> Took:
    ended = now()
    return ended[0] - began[0], ended[1] - began[1]


def told(imported: Took, work: Callable[[Any, Any], object], prepare: Callable[[Any], object] | None = None) -> None:
    """Print what it took: `import` and `run`, each as CPU and wall seconds (those of least CPU of several for few
    rows), `peak` memory in MB, and the machine's `load` while it ran.

    prepare: what is made of the reference beforehand and is no part of the work.
    """
    import pandas as pd

    reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
    held = prepare(reference) if prepare else reference
    # What is loaded at the first use, and never again, is no part of a comparison.
    work(held if prepare else reference.head(1500), current.head(1500))
    took = []
    for _ in range(3 if len(current) < 1_000_000 else 1):
        began = now()
        work(held, current)
        took.append(since(began))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)
    found = {"import": imported, "run": min(took), "peak": peak, "load": os.getloadavg()[0]}
    sys.stdout.write("\n" + json.dumps(found) + "\n")
