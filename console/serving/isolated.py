"""A version that a process of its own answers for: rows are checked here by its signature, and asked for there."""

from __future__ import annotations

import threading
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import numpy as np

from backends.contract import Refused
from backends.entities import ColumnType
from console.serving.answering import Answer, Loaded
from console.serving.fetched import VersionFile
from console.serving.refusal import Refusal
from console.serving.rows import Rows, Shape, Value

ASK_S: Final = 60.0
LARGEST: Final = 256 << 20
"""Bytes of an answer."""


class Isolated(Loaded):
    """Of a process that speaks MLflow's `/invocations`. It has predictions and no scores of its own."""

    inline = False

    def __init__(self, file: VersionFile, url: str, shape: Shape) -> None:
        super().__init__(file, None, shape)
        self._where = urlsplit(url).netloc
        self._mine = threading.local()

    def answer(self, rows: Rows, method: str = "predict") -> Answer:
        """Raises Refusal: 400 where the model has no answer for these rows, 503 where its process is not there."""
        if method != "predict":
            raise Refusal(
                400, f"{self.file.ref} has no {method}: a process of its own answers", "params.predict_method"
            )
        names = [column.name for column in self.file.features]
        columns = [
            [_sent(column.type, value) for value in values]
            for column, values in zip(self.file.features, rows.columns, strict=True)
        ]
        data = [[values[at] for values in columns] for at in range(rows.count)]
        status, body = self._asked(msgspec.json.encode({"dataframe_split": {"columns": names, "data": data}}))
        if status != 200:
            kind = 400 if 400 <= status < 500 else 502
            raise Refusal(kind, f"{self.file.ref} has no answer for these rows ({status}): {_why(body)}")
        return _answer(self.file.ref, body, rows.count)

    def there(self) -> bool:
        connection = HTTPConnection(self._where, timeout=2.0)
        try:
            connection.request("GET", self.file.isolation.rule.health if self.file.isolation else "/ping")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _asked(self, body: bytes) -> tuple[int, bytes]:
        """Over a connection that stays open, one for each thread; what is asked for may be asked twice."""
        for attempt in (1, 2):
            connection = getattr(self._mine, "connection", None)
            fresh = connection is None
            if connection is None:
                connection = self._mine.connection = HTTPConnection(self._where, timeout=ASK_S)
            try:
                connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                said = answer.read(LARGEST + 1)
            except (OSError, HTTPException) as error:
                connection.close()
                self._mine.connection = None
                if fresh or attempt == 2 or isinstance(error, TimeoutError):
                    raise Refusal(
                        503, f"the process of {self.file.ref} does not answer", headers={"retry-after": "1"}
                    ) from error
                continue
            if len(said) > LARGEST:
                connection.close()
                self._mine.connection = None
                raise Refusal(502, f"the process of {self.file.ref} answers with over {LARGEST >> 20} MB")
            return answer.status, said
        raise AssertionError("unreachable")


def _sent(kind: ColumnType, value: Value) -> Value | int | bool:
    """As MLflow's scoring server wants it: our rows hold every number as a float."""
    if value is None or isinstance(value, str):
        return value
    if kind is ColumnType.INT:
        return int(value)
    return bool(value) if kind is ColumnType.BOOL else value


def _answer(ref: str, body: bytes, count: int) -> Answer:
    try:
        said: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal(502, f"the process of {ref} answers with something else than JSON") from error
    values = said.get("predictions") if isinstance(said, dict) else said
    if isinstance(values, dict):  # one list for each output
        values = [dict(zip(values, row, strict=False)) for row in zip(*values.values(), strict=False)]
    if not isinstance(values, list) or len(values) != count:
        what = f"{len(values)} predictions" if isinstance(values, list) else "no list of predictions"
        raise Refusal(502, f"the process of {ref} answers {count} rows with {what}")
    plain = [next(iter(each.values())) if isinstance(each, dict) and len(each) == 1 else each for each in values]
    simple = all(each is None or isinstance(each, str | int | float | bool) for each in plain)
    numbers = simple and all(type(each) in (int, float) for each in plain)
    return Answer(values, plain if simple else None, np.asarray(plain, dtype=np.float64) if numbers else None)


def _why(body: bytes) -> str:
    try:
        said: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return body[:200].decode("utf-8", "replace")
    return str(said.get("message") or said.get("error_code") or "")[:300] if isinstance(said, dict) else ""


def reach(file: VersionFile, *, sticky: str = "", ignore_extra: bool = False, most: int = 50_000) -> Isolated:
    """The version behind its process, tried with a plain row. Refused where that has no answer for it."""
    if file.isolation is None or not file.isolation.url:
        raise Refused(f"{file.ref}: no process answers for it")
    shape = Shape(file.features, sticky=sticky, ignore_extra=ignore_extra, most=most)
    found = Isolated(file, file.isolation.url, shape)
    found.warm()
    return found
