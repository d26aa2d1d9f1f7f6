"""Callers of the demo's deployment: real flights, one request each, at an even pace, until they are told to stop."""

from __future__ import annotations

import csv
import itertools
import json
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

A_SECOND: Final = 40.0
NOT_ASKED: Final = ("flight_id", "scheduled", "late")
"""Columns of the file that the model does not take."""


class Callers:
    """They ask from `start` to `stop`; what is refused meanwhile, as while a split is changed, is asked no more."""

    def __init__(self, url: str, flights: Path) -> None:
        with flights.open(newline="", encoding="utf-8") as file:
            read = csv.DictReader(file)
            self._rows = [
                {name: _value(text) for name, text in row.items() if name not in NOT_ASKED}
                for row in itertools.islice(read, 2_000)
            ]
        self._url = f"{url}/invocations"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)

    def _ask(self) -> None:
        due = time.monotonic()
        for row in itertools.cycle(self._rows):
            if self._over.is_set():
                return
            body = json.dumps({"dataframe_records": [row]}).encode()
            asked = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})  # noqa: S310 our own
            try:
                urllib.request.urlopen(asked, timeout=10).close()  # noqa: S310
            except (urllib.error.URLError, TimeoutError):
                time.sleep(0.5)
            due = max(due + 1 / A_SECOND, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))


def _value(text: str | None) -> object:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
