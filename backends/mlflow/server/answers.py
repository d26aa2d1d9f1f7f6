"""Answers as MLflow gives them: its JSON, its error codes, its HTTP states."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from backends.contract import (
    BackendError,
    Conflict,
    Invalid,
    NotFound,
    Refused,
    Unauthorized,
    Unreachable,
    Unsupported,
)
from backends.query import QueryError

_STATUS: Final = {
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "BAD_REQUEST": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
    "INSUFFICIENT_STORAGE": 507,
}


class Failure(Exception):
    """An error with MLflow's own code, to be sent as it is."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def invalid(message: str) -> Failure:
    return Failure("INVALID_PARAMETER_VALUE", message)


def failure_of(error: Exception) -> Failure:
    """What a client is told of an error of the contract; of any other, that it is ours."""
    match error:
        case Failure():
            return error
        case QueryError():
            return Failure("INVALID_PARAMETER_VALUE", f"Invalid filter: {error.summary}")
        case NotFound():
            return Failure("RESOURCE_DOES_NOT_EXIST", str(error))
        case Conflict():
            return Failure("RESOURCE_CONFLICT", str(error))
        case Invalid() | Refused():
            return Failure("INVALID_PARAMETER_VALUE", str(error))
        case Unauthorized():
            return Failure("PERMISSION_DENIED", str(error))
        case Unreachable():
            return Failure("TEMPORARILY_UNAVAILABLE", str(error))
        case Unsupported():
            return Failure("NOT_IMPLEMENTED", str(error))
        case BackendError():
            return Failure("INTERNAL_ERROR", str(error))
        case _:
            # Not the error's own text: it may hold anything. The log has it.
            return Failure("INTERNAL_ERROR", f"a fault of the server ({type(error).__name__}); its log says more")


def failure_body(failure: Failure) -> tuple[int, bytes]:
    body = msgspec.json.encode({"error_code": failure.code, "message": str(failure)})
    return _STATUS.get(failure.code, 500), body


def number(value: float) -> float | str:
    """A metric's value: JSON has no NaN and no infinity, the protocol's JSON spells them."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def body(answer: dict[str, Any]) -> bytes:
    """The protocol leaves out what is empty."""
    return msgspec.json.encode({key: value for key, value in answer.items() if value not in (None, "", [], {})})
