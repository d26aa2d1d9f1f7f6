"""Waiting and watching: a run until it ends, a log as it grows, a record whenever it changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from backends.entities import Progress, Run
from console.cli.output import print_json_line, print_lines
from console.cli.verb import Invocation, interruptible
from console.safe import safe_text
from console.training.find import find_run
from console.training.flags import flags, with_flags
from console.training.measured import SIDE, in_order
from console.wording import bar, clock, number

POLL_SECONDS = 0.25
"""How often the store is asked whether anything changed: one cheap pragma, not a table."""


class ProgressLine:
    """One line on stderr that is overwritten, at most twice a second; nothing where stderr is not a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._last = 0.0
        self._drawn = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def follow(self, said: Progress) -> None:
        self.update(fraction=said.fraction, stage=said.stage, rate=said.rate, eta_s=said.eta_s)

    def update(self, *, fraction: float | None, stage: str = "", rate: str = "", eta_s: float | None = None) -> None:
        if not self._shown or time.monotonic() - self._last < 0.5:
            return
        self._last = time.monotonic()
        parts = [] if fraction is None else [f"{bar(fraction)} {fraction * 100:.0f} %"]
        parts += [part for part in (stage, rate) if part]
        if eta_s is not None:
            parts.append(f"eta {clock(eta_s)}")
        sys.stderr.write(f"\r{safe_text('  '.join(parts), 79)}\x1b[K")
        sys.stderr.flush()
        self._drawn = True

    def close(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


def each_change(invocation: Invocation) -> Callable[[], bool]:
    """A wait that ends when the backend may have changed; it answers within two seconds in any case."""
    changed = invocation.backend.changed
    token = changed()

    def wait() -> bool:
        nonlocal token
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            fresh = changed()
            if fresh != token:
                token = fresh
                return True
        return False

    return wait


def wait_for_run(invocation: Invocation, run: str) -> Run:
    """The run once it has ended, with a progress line meanwhile."""
    runs = invocation.need("runs")
    wait = each_change(invocation)
    with ProgressLine() as line:
        while True:
            found: Run = runs.get(run)
            if found.status.ended:
                return found
            line.follow(found.progress or Progress(at=found.created_at, stage=found.status))
            wait()


def watch_run(invocation: Invocation, run_id: str) -> None:
    """The run, one line each time it changed, until it has ended."""
    runs = invocation.need("runs")
    run = find_run(runs, run_id).id
    watch(invocation, lambda: runs.get(run), _run_line, until=lambda found: found.status.ended, document=with_flags)


def watch(
    invocation: Invocation,
    fetch: Callable[[], Any],
    line: Callable[[Any], str],
    *,
    until: Callable[[Any], bool] = lambda _: False,
    document: Callable[[Any], Any] = lambda found: found,
) -> None:
    """JSON lines with `--json`, else a sentence a line; only when what was fetched is different."""
    wait = each_change(invocation)
    last: object = None
    with interruptible():
        while True:
            found = fetch()
            # A person is told what reads otherwise: a run that samples its machine is another one every few seconds.
            told = document(found) if invocation.json else line(found)
            if told != last:
                last = told
                (print_json_line if invocation.json else print_lines)(told)
            if until(found):
                return
            wait()


def _run_line(found: Run) -> str:
    said = found.progress
    parts = [found.status.value, *(f"{each.flag}: {each.text}" for each in flags(found) if not found.status.ended)]
    if said is not None and not found.status.ended:
        if said.fraction is not None:
            parts.append(f"{bar(said.fraction)} {said.fraction * 100:.0f} %")
        parts += [part for part in (said.stage, said.rate) if part]
        if said.eta_s is not None:
            parts.append(f"eta {clock(said.eta_s)}")
    main = [(name, found.metrics[name]) for name in in_order(found) if not name.startswith(SIDE)]
    parts += [f"{key} {number(value)}" for key, value in main[:4]]
    if found.reason:
        parts.append(found.reason)
    return "  ".join(parts)
