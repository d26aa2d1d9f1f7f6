"""Looking at every promise in turn, and ending in time whatever the adapter does."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Final

# Each module lays its promises down as it is read; they are looked at in this order.
from backends.checks import whole  # noqa: F401  isort: skip
from backends.checks import lists  # noqa: F401  isort: skip
from backends.checks import asking, runs, models, files, kept, retention, figures  # noqa: F401  isort: skip
from backends.checks.finding import Finding, Lacks, Spent, Unseen, Verdict, Wrong
from backends.checks.look import CALLS, SECONDS, Look
from backends.checks.promise import PROMISES, Promise
from backends.contract import Backend, BackendError, Refused, Unauthorized, Unreachable, Unsupported
from backends.readonly import READING

_SILENT: Final = 60.0
"""Seconds after which one promise is given up: a verb has to end within its adapter's own time limit."""
_AWAY: Final = 3
"""So many promises in turn that nothing answered: then the others are not asked."""


def first_answer(backend: Backend) -> str:
    """One small question, of what there is; the name of what was asked. Raises what keeps us from it."""
    for capability in ("runs", "registry", "experiments", "datasets"):
        if (found := getattr(backend, capability)) is not None:
            found.page(limit=1)
            return capability
    return ""


def promises(backend: Backend) -> list[Promise]:
    """Those of what the backend has: of the whole first, then one capability after the other."""
    order = ["backend", *(each for each in READING if getattr(backend, each) is not None)]
    return sorted(
        (each for each in PROMISES if each.capability in order), key=lambda each: order.index(each.capability)
    )


def examine(
    backend: Backend, *, calls: int = CALLS, seconds: float = SECONDS, silent: float = _SILENT
) -> Iterator[Finding]:
    """Every promise of what the backend has, one after the other. Nothing is changed, and nothing raised.

    calls, seconds: what it may take at most; what is beyond is unseen. silent: seconds after which a promise whose
    verbs do not come back is given up, and the examination with it.
    """
    look = Look(backend, calls=calls, seconds=seconds)
    found: queue.Queue[Finding | None] = queue.Queue()
    asked = promises(backend)
    ended = threading.Event()

    def work() -> None:
        away = 0
        for each in asked:
            if ended.is_set():
                return
            if away >= _AWAY:
                found.put(_not_seen(each, "nothing answers", away=True))
                continue
            said = _twice(each, look)
            away = away + 1 if said.away else 0
            found.put(said)
        found.put(None)

    # A thread of its own, for a verb that never ends must not keep whoever asked.
    threading.Thread(target=work, name="examine", daemon=True).start()
    try:
        for at, each in enumerate(asked):
            try:
                said = found.get(timeout=silent)
            except queue.Empty:
                yield Finding(
                    capability=each.capability, promise=each.words, verdict=Verdict.WRONG,
                    wanted="an answer or an error within the adapter's own time limit",
                    found=f"neither after {silent:.0f} s",
                )  # fmt: skip
                for rest in asked[at + 1 :]:
                    yield _not_seen(rest, "a verb before it did not come back")
                return
            if said is not None:
                yield said
    finally:
        ended.set()


def _not_seen(each: Promise, why: str, *, away: bool = False) -> Finding:
    return Finding(capability=each.capability, promise=each.words, verdict=Verdict.UNSEEN, said=why, away=away)


def _twice(each: Promise, look: Look) -> Finding:
    """What looks wrong is looked at once more, all anew: a living server may have changed in between."""
    said = _once(each, look)
    if said.verdict is Verdict.WRONG:
        look.forget()
        return _once(each, look)
    return said


def _once(each: Promise, look: Look) -> Finding:
    begun, before = time.perf_counter(), look.calls
    verdict, said, wanted, found, away = Verdict.OK, "", "", "", False
    try:
        said = each.check(look) or ""
    except (Lacks, Unsupported, Refused, Unauthorized) as error:
        verdict, said = Verdict.LACKS, str(error)
    except (Unseen, Spent) as error:
        verdict, said = Verdict.UNSEEN, str(error)
    except Unreachable as error:
        verdict, said, away = Verdict.UNSEEN, str(error), True
    except Wrong as error:
        verdict, wanted, found = Verdict.WRONG, error.wanted, error.found
    except BackendError as error:
        verdict, wanted, found = Verdict.WRONG, "an answer", f"{type(error).__name__}: {error}"
    except Exception as error:  # an adapter's own defect, of any kind, is what is looked for
        verdict, wanted = Verdict.WRONG, "an answer, or one of the contract's errors"
        found = f"{type(error).__name__}: {error}"
    return Finding(
        capability=each.capability, promise=each.words, verdict=verdict, said=said, wanted=wanted, found=found,
        away=away, calls=look.calls - before, seconds=round(time.perf_counter() - begun, 4),
    )  # fmt: skip
