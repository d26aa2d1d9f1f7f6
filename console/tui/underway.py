"""A look that takes a while: it is worked out in a process of its own, says how far it is, and esc ends it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from backends.entities import Progress
from console.offload import Cancelled
from console.safe import safe_text
from console.tui.frame import progress_spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.tui.app import ConsoleApp

    Question = Callable[[Callable[[Progress], None], Callable[[], bool]], "T"]

T = TypeVar("T")


async def looked_up(app: ConsoleApp, what: str, question: Question[T]) -> T | None:
    """What `question` finds; it is given whom to tell of progress, and what says that it is to end. None where the
    person ended it: nothing changed by that, so nobody is asked first."""
    end = threading.Event()
    app.looks[end] = what
    progress = app.report(what, stop="back")
    # A process that loads models says nothing for its first seconds.
    app.say_work(progress_spans(what, Progress(at=0, stage="starting"), app.keymap.keys["back"].split(",")[0]))
    try:
        return await app.look_up(lambda: question(progress, end.is_set))
    except Cancelled:
        app.tell(f"{safe_text(what, 60)}: stopped")
        return None
    finally:
        end.set()
        app.looks.pop(end, None)
        app.say_work(())
