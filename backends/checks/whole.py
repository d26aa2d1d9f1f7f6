"""What a backend promises as a whole: reasons for what it lacks, a cheap sign of change, and calls from any thread."""

from __future__ import annotations

import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from backends.checks.finding import Unseen, Wrong, listed, shown
from backends.checks.look import Look
from backends.checks.promise import promise
from backends.contract import Features
from backends.readonly import READING

_CHEAP_S: Final = 0.1
"""A sign of change that takes longer asks somebody far away."""


@promise("backend", "what is lacking has a reason, and what is there is not said to be lacking")
def reasons(look: Look) -> str:
    backend = look.whole
    silent = [
        each for each in READING
        if each != "metrics" and getattr(backend, each) is None and not backend.missing.get(each, "").strip()
    ]  # fmt: skip
    if silent:
        raise Wrong(f"why there is no {listed(silent, 9)}, in Backend.missing", "nothing")
    both = [each for each in READING if getattr(backend, each) is not None and each in backend.missing]
    if both:
        raise Wrong(f"{listed(both)} either there or lacking", "both")
    return f"{len(backend.missing)} lacking"


@promise("backend", "the address shows no secret")
def address(look: Look) -> str:
    if re.search(r"://[^/@\s]*:[^/@\s]+@", look.whole.url):
        raise Wrong("an address without a password", "user:…@ in it")
    return shown(look.whole.url, 60)


@promise("backend", "features are told as they are declared")
def features(look: Look) -> str:
    said = look.whole.features
    for name in Features.__struct_fields__:
        value, kind = getattr(said, name), type(getattr(Features(), name))
        if type(value) is not kind:
            raise Wrong(f"{name} as a {kind.__name__}", shown(value))
    on = [name for name in Features.__struct_fields__ if getattr(said, name) is True]
    return ", ".join(on)


@promise("backend", "the sign of change costs nothing, and stays while nothing changes")
def changed(look: Look) -> str:
    took: list[float] = []
    stayed = 0
    before: Any = look.whole.changed()
    for _ in range(10):
        begun = time.perf_counter()
        after: Any = look.whole.changed()
        took.append(time.perf_counter() - begun)
        stayed += before == after
        before = after
    if not stayed:
        raise Wrong("the same sign while nothing changes", "another one at each of 10 looks")
    middle = statistics.median(took)
    if middle > _CHEAP_S:
        raise Wrong("a sign within milliseconds, for it is asked many times a minute", f"{middle * 1000:.0f} ms")
    return f"{middle * 1e6:.0f} µs"


@promise("backend", "several threads may ask at once, and get the same answer")
def threads(look: Look) -> str:
    if look.whole.runs is not None:

        def ask() -> list[str]:
            return [run.id for run in look.the("runs").page(limit=5).items]
    elif look.whole.registry is not None:

        def ask() -> list[str]:
            return [model.name for model in look.the("registry").page(limit=5).items]
    else:
        raise Unseen("there are neither runs nor models")
    with ThreadPoolExecutor(4, "together") as pool:
        answers = list(pool.map(lambda _: ask(), range(4)))
    if any(answer != answers[0] for answer in answers):
        raise Wrong("one answer for four who ask at once", " / ".join(listed(answer) for answer in answers))
    return ""
