"""A request that is not answered with a prediction: its status, why, and which field is to blame."""

from __future__ import annotations


class Refusal(Exception):
    """The message says what was wanted, what is and what to do; it never holds a value of a row."""

    def __init__(self, status: int, message: str, field: str = "", *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.headers = headers or {}
