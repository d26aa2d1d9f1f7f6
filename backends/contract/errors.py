"""The family of errors that every adapter speaks: what happened, to what, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from backends.entities import GateResult, Millis


class BackendError(Exception):
    """What went wrong, to what, and what to do: the message is one to show to a person (after `safe_text`)."""


class NotFound(BackendError):
    """The named thing is not there."""


class Conflict(BackendError):
    """It changed under you: the expected state is not the state. Nothing was changed."""


class Refused(BackendError):
    """A rule forbids it: a failed gate, read-only, a protected alias. Nothing was changed."""

    def __init__(self, message: str, gates: Sequence[GateResult] = ()) -> None:
        super().__init__(message)
        self.gates = tuple(gates)


class Invalid(BackendError):
    """The input is wrong. `field` names the part that is."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Unauthorized(BackendError):
    """The server does not accept who we are."""


class Unreachable(BackendError):
    """The server or the store does not answer. `retry_at` is when it makes sense to ask again, `since` when it last
    answered, each if known."""

    def __init__(self, message: str, retry_at: Millis | None = None, since: Millis | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at
        self.since = since


class Unsupported(BackendError):
    """This backend has no such thing."""
