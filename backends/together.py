"""Questions that do not wait for one another, asked at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeVar

T = TypeVar("T")

AT_ONCE: Final = 4
"""So many questions one server is asked at the same time."""


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The results, in the order of the calls; the first error of them, once all have ended.

    The first call is made by whoever asks, the others by threads that hold up no end of the program.
    """
    results: dict[int, T] = {}
    errors: dict[int, BaseException] = {}

    def run(first: int) -> None:
        for number in range(first, len(calls), AT_ONCE):
            try:
                results[number] = calls[number]()
            except BaseException as error:  # it is raised again where the results are wanted
                errors[number] = error
                return

    threads = [
        threading.Thread(target=run, args=(number,), name="together", daemon=True)
        for number in range(1, min(AT_ONCE, len(calls)))
    ]
    for thread in threads:
        thread.start()
    run(0)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[min(errors)]
    return [results[number] for number in range(len(calls))]


def both(one: Callable[[], Any], other: Callable[[], Any]) -> tuple[Any, Any]:
    first, second = together([one, other])
    return first, second


class Same:
    """Who asks what somebody is asking at that moment waits for that answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._out: dict[Hashable, Future[Any]] = {}

    def ask(self, what: Hashable, call: Callable[[], T]) -> T:
        with self._lock:
            out = self._out.get(what)
            if out is None:
                mine: Future[Any] = Future()
                self._out[what] = mine
        if out is not None:
            found: T = out.result()
            return found
        try:
            result = call()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(result)
            return result
        finally:
            with self._lock:
                del self._out[what]
