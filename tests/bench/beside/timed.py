"""CPU seconds of importing and of comparing two Parquet files; needs pandas and the standard library alone, so that any
environment can run it.

Each script beside this one calls `told(import_seconds, work)` with a function of two frames.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any


def told(imported: float, work: Callable[[Any, Any], object], prepare: Callable[[Any], object] | None = None) -> None:
    """Print what it took: `import`, `run` (least of several for few rows), `peak` memory in MB.

    prepare: what is made of the reference beforehand and is no part of the work.
    """
    import pandas as pd

    reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
    held = prepare(reference) if prepare else reference
    # What is loaded at the first use, and never again, is no part of a comparison.
    work(held if prepare else reference.head(1500), current.head(1500))
    took = []
    for _ in range(3 if len(current) < 1_000_000 else 1):
        began = time.process_time()
        work(held, current)
        took.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)
    sys.stdout.write("\n" + json.dumps({"import": imported, "run": min(took), "peak": peak}) + "\n")
