"""Blocking questions asked in a thread of their own, so that no handler ever waits for a server.

The thread touches no widget. Its answer is taken at once when it comes within a few milliseconds, as a local store's
does, and as a message otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from textual.message import Message
from textual.widget import Widget  # noqa: TC002


class Answer(Message, bubble=False):
    """A question has been answered, late."""

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question


class Question:
    """A call, and what becomes of its result."""

    def __init__(
        self, fetcher: Fetcher, call: Callable[[], Any], take: Callable[[Any, Exception | None], None]
    ) -> None:
        self.fetcher = fetcher
        self.call = call
        self.take = take
        self.result: Any = None
        self.error: Exception | None = None
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._late = False

    def run(self, widget: Widget) -> None:
        """Make the call, in the fetcher's thread."""
        try:
            self.result = self.call()
        except Exception as error:  # it is shown by whoever asked: no answer of a server may end the program
            self.error = error
        with self._lock:
            self._answered.set()
            late = self._late
        if late:
            try:
                widget.post_message(Answer(self))
            except RuntimeError:
                pass  # the program has ended meanwhile: nobody waits

    def answered_within(self, seconds: float) -> bool:
        """Wait this long at most. False promises an `Answer` later."""
        if seconds > 0:
            self._answered.wait(seconds)
        with self._lock:
            if self._answered.is_set():
                return True
            self._late = True
            return False

    def settle(self) -> None:
        """Hand the result to whoever asked, in the thread that asked."""
        self.fetcher.waiting -= 1
        self.take(self.result, self.error)


class Fetcher:
    """One thread that answers questions in order. It starts with the first question and dies with the program."""

    def __init__(self, widget: Widget, name: str) -> None:
        self._widget = widget
        self._name = name
        self._queue: SimpleQueue[Question | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self.waiting = 0
        """Questions whose answers have not been taken yet."""

    def ask(
        self, call: Callable[[], Any], take: Callable[[Any, Exception | None], None], *, patience: float = 0.0
    ) -> None:
        """Have `call` run in the thread and `take(result, error)` in this one: before returning if it takes no longer
        than `patience` seconds, else when the widget handles `Answer` by `answer.question.settle()`."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        question = Question(self, call, take)
        # Behind another question there is no use in waiting.
        patience = patience if self.waiting == 0 else 0.0
        self.waiting += 1
        self._queue.put(question)
        if question.answered_within(patience):
            question.settle()

    def close(self) -> None:
        """Let the thread end after what it is doing."""
        if self._thread is not None:
            self._queue.put(None)

    def _work(self) -> None:
        while (question := self._queue.get()) is not None:
            question.run(self._widget)
