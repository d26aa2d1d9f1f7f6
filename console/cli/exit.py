"""What a command says when it is over: the exit code, and the error as one line or one JSON document.

Every contract error is turned into an exit code here and nowhere else.
"""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from typing import Any

import click
import msgspec

from backends.contract import (
    BackendError,
    Invalid,
    NotFound,
    Refused,
    Unauthorized,
    Unreachable,
)
from backends.entities import GateResult


class Exit(IntEnum):
    """The codes that scripts may rely on."""

    DONE = 0
    """What was asked for is done."""

    FAILED = 1
    """Refused, failed, changed under you, or a gate not passed. Nothing is half done."""

    USAGE = 2
    """The command or its input is wrong: an unknown verb, a name that is not there, a bad file, a wrong query."""

    UNREACHABLE = 3
    """The backend does not answer. Trying again later makes sense."""

    UNAUTHORIZED = 4
    """The backend does not accept who is asking."""

    INTERRUPTED = 130
    """Ended by Ctrl-C."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as `--json` prints it, within `{"error": …}`."""

    kind: str
    message: str
    exit: int
    field: str = ""
    gates: tuple[GateResult, ...] = ()
    retry_at: int | None = None
    hint: str = ""


def problem_of(error: BaseException) -> Problem:
    """The one mapping from what was raised to what is said."""
    kind = type(error).__name__
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Problem("Interrupted", "interrupted; what was started goes on where it runs", Exit.INTERRUPTED)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return Problem("Usage", "nothing said to do; a noun and a verb are wanted", Exit.USAGE, hint=_help_hint(error))
    if isinstance(error, click.ClickException):
        return Problem("Usage", error.format_message(), Exit.USAGE, hint=_help_hint(error))
    if isinstance(error, Refused):
        return Problem(kind, str(error), Exit.FAILED, gates=error.gates)
    if isinstance(error, Invalid):
        return Problem(kind, str(error), Exit.USAGE, field=error.field)
    if isinstance(error, NotFound):
        return Problem(kind, str(error), Exit.USAGE)
    if isinstance(error, Unreachable):
        return Problem(kind, str(error), Exit.UNREACHABLE, retry_at=error.retry_at)
    if isinstance(error, Unauthorized):
        return Problem(kind, str(error), Exit.UNAUTHORIZED)
    if isinstance(error, BackendError):  # Conflict, Unsupported
        return Problem(kind, str(error), Exit.FAILED)
    from backends.query import QueryError

    if isinstance(error, QueryError):
        return Problem("Query", str(error), Exit.USAGE, field="query")
    if isinstance(error, OSError):
        return Problem("System", _system_sentence(error), Exit.FAILED)
    return Problem(
        "Defect",
        f"{kind}: {error}",
        Exit.FAILED,
        hint="this is a defect of mlops-console, not of your input; MLOPS_CONSOLE_TRACEBACK=1 shows where",
    )


def report(error: BaseException, *, as_json: bool) -> Exit:
    """Say on stderr what went wrong, and give the code to leave with."""
    problem = problem_of(error)
    if os.environ.get("MLOPS_CONSOLE_TRACEBACK") and problem.kind in ("Defect", "System"):
        _say_traceback(error)
    if as_json:
        from console.cli.output import json_text

        sys.stderr.write(json_text({"error": problem}) + "\n")
    elif isinstance(error, click.exceptions.NoArgsIsHelpError):
        sys.stderr.write(error.format_message() + "\n")
    else:
        from console.safe import safe_lines

        # A query error draws a caret under the character, so its line breaks stay.
        lines = safe_lines(problem.message)
        sys.stderr.write(f"mlops-console: {lines[0]}\n" + "".join(f"{line}\n" for line in lines[1:]))
        for gate in problem.gates:
            if gate.status != "pass":
                said = " · ".join(part for part in (gate.value, gate.rule, gate.detail) if part)
                sys.stderr.write(f"  {gate.status}  {safe_lines(gate.gate)[0]}: {safe_lines(said)[0]}\n")
        if problem.hint:
            sys.stderr.write(f"  {safe_lines(problem.hint)[0]}\n")
    return Exit(problem.exit)


def _help_hint(error: click.ClickException) -> str:
    context: Any = getattr(error, "ctx", None)
    return f"{context.command_path} --help shows what it takes" if context is not None else ""


def _system_sentence(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"


def _say_traceback(error: BaseException) -> None:
    import traceback

    from console.safe import safe_lines

    for line in safe_lines("".join(traceback.format_exception(error)).rstrip()):
        sys.stderr.write(line + "\n")
