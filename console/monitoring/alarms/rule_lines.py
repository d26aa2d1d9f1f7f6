"""Where in a policy's text an error stands, so that whoever edits it finds the line. Plain Python."""

from __future__ import annotations

import re

from backends.contract import Invalid

_HEADER = re.compile(r"\s*\[\[\s*rule\s*\]\]")
_BY_NUMBER = re.compile(r"rule (\d+) \(")
_BY_NAME = re.compile(r"rules? (?:are named )?(['\"])(.*?)\1")
_TWICE = re.compile(r"two rules are named (['\"])(.*?)\1")
_KEY = re.compile(r"rule \d+ \([^)]*\), (\w+):")
_DURATION = re.compile(r"^(['\"])(.*?)\1 is no duration")


def numbered(text: str, error: Invalid) -> Invalid:
    """The same error with the number of the line that it is about, from 1, where it is known and not said yet."""
    said = str(error)
    if re.search(r"\bline \d+", said):
        return error
    line = line_of(text, said, error.field)
    return error if line is None else Invalid(f"line {line}: {said}", error.field)


def line_of(text: str, said: str, field: str = "") -> int | None:
    """The line of `text` that the error `said` of `rules.read_rules` is about; None where it tells of no rule."""
    lines = text.splitlines()
    duration = _DURATION.search(said)
    if duration is not None:
        return next((at for at, line in enumerate(lines, 1) if _key_of(line) and duration[2] in line), None)
    block = _block(lines, said)
    if block is None:
        return None
    first, last = block
    found = _KEY.search(said)
    key = found[1] if found is not None else field
    if _TWICE.search(said):
        key = "name"
    return next((at for at in range(first, last + 1) if key and _key_of(lines[at - 1]) == key), first)


def _block(lines: list[str], said: str) -> tuple[int, int] | None:
    """First and last line of the rule that the error names, from 1; of two that are named alike, the second."""
    starts = [at for at, line in enumerate(lines, 1) if _HEADER.match(line)]
    blocks = [(start, end - 1) for start, end in zip(starts, [*starts[1:], len(lines) + 1], strict=False)]
    number = _BY_NUMBER.search(said)
    if number is not None:
        at = int(number[1]) - 1
        return blocks[at] if at < len(blocks) else None
    name = _BY_NAME.search(said)
    if name is None:
        return None
    wanted = re.compile(r"\s*name\s*=\s*(['\"])" + re.escape(name[2]) + r"\1")
    own = [block for block in blocks if any(wanted.match(line) for line in lines[block[0] - 1 : block[1]])]
    return own[-1] if own else None


def _key_of(line: str) -> str:
    found = re.match(r"\s*([A-Za-z_]\w*)\s*=", line)
    return found[1] if found is not None else ""
