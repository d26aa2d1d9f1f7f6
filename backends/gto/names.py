"""What a tag's name says by GTO's conventions, and how versions are put in order.

    churn@v1.2.0        a version            churn@v1.2.0!       is taken away
    churn#prod#4        a stage is assigned  churn#prod!#5       is taken away
    churn@deprecated    the model is retired

A name may have a folder before it, with a colon; in tags it is an equals sign. Each of them may end in `#N`, a number
that counts up over all tags of the model. Names that git takes and these rules do not are other people's tags.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from backends.contract import Invalid

_NAME: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-/_]*[a-zA-Z0-9])?"
_MODEL: Final = rf"(?:[a-zA-Z0-9-_./]+=)?{_NAME}"
_SEMVER: Final = (
    r"v(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)"
    r"(?:-(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)
_TAG: Final = re.compile(
    rf"(?P<model>{_MODEL})"
    rf"(?:(?:#(?P<stage>{_NAME})|@(?P<version>{_SEMVER}))(?P<gone>!?)|@(?:(?P<deprecated>deprecated)|created))"
    r"(?:#(?P<counter>[0-9]{1,15}))?"
)
_LONGEST: Final = 200
"""Bytes of a name: with what a tag adds it is a file's name."""


class Action(StrEnum):
    """What a tag does."""

    REGISTER = "register"
    DEREGISTER = "deregister"
    ASSIGN = "assign"
    UNASSIGN = "unassign"
    DEPRECATE = "deprecate"


class Named(NamedTuple):
    """A tag's name, read."""

    action: Action
    model: str
    version: str = ""
    """With its `v`."""
    stage: str = ""
    counter: int = 0


def read(tag: str) -> Named | None:
    """None where it is no tag of a registry."""
    if "@" not in tag and "#" not in tag:
        return None
    found = _TAG.fullmatch(tag)
    if found is None:
        return None
    version, stage, gone = found["version"] or "", found["stage"] or "", bool(found["gone"])
    if version:
        action = Action.DEREGISTER if gone else Action.REGISTER
    elif stage:
        action = Action.UNASSIGN if gone else Action.ASSIGN
    elif found["deprecated"]:
        action = Action.DEPRECATE
    else:
        return None
    return Named(action, found["model"].replace("=", ":"), version, stage, int(found["counter"] or 0))


def spelled(named: Named) -> str:
    """The tag's name."""
    model = named.model.replace(":", "=")
    gone = "!" if named.action in (Action.DEREGISTER, Action.UNASSIGN) else ""
    if named.action is Action.DEPRECATE:
        middle = "@deprecated"
    else:
        middle = f"#{named.stage}{gone}" if named.stage else f"@{named.version}{gone}"
    return f"{model}{middle}" + (f"#{named.counter}" if named.counter else "")


def check_model(name: str) -> str:
    """The name, if a tag can hold it; else Invalid."""
    return _check("model", name, rf"(?:[a-zA-Z0-9-_./]+:)?{_NAME}", "model")


def check_alias(name: str) -> str:
    return _check("alias", name, _NAME, "alias")


def _check(what: str, name: str, pattern: str, field: str) -> str:
    wrong = (
        "it is empty"
        if not name
        else f"it is longer than {_LONGEST} bytes"
        if len(name.encode("utf-8", "surrogatepass")) > _LONGEST
        else "" if re.fullmatch(pattern, name) and not re.search(r"//|\.\.|/\.|^[-/.]|\.lock(/|:|$)|\./|\.:", name)
        else "letters, digits, '-', '_' and '/' are wanted, with a letter or a digit at both ends"
    )  # fmt: skip
    if wrong:
        raise Invalid(
            f"the name of {'an' if what == 'alias' else 'a'} {what} becomes a git tag here, and {name[:80]!r} cannot: "
            f"{wrong}; nothing was changed. Take another name.",
            field,
        )
    return name


# ---------------------------------------------------------------- versions


@lru_cache(maxsize=65_536)
def order(version: str) -> tuple[object, ...]:
    """A key by which versions sort as semantic versions do; a bare commit comes before them all."""
    if not version.startswith("v"):
        return (0, version)
    core, _, before = version[1:].partition("+")[0].partition("-")
    numbers = tuple(int(part) for part in core.split("."))
    parts = (
        tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".")) if before else ()
    )
    return (1, numbers, not before, parts)


def following(versions: list[str], bump: str) -> str:
    """The version after the highest of them: its patch, minor or major number one higher."""
    semantic = [version for version in versions if version.startswith("v")]
    if not semantic:
        return "v1.0.0" if bump == "major" else "v0.1.0" if bump == "minor" else "v0.0.1"
    last = max(semantic, key=order)
    core, _, before = last[1:].partition("+")[0].partition("-")
    major, minor, patch = (int(part) for part in core.split("."))
    if bump == "major":
        return f"v{major}.0.0" if before and not minor and not patch else f"v{major + 1}.0.0"
    if bump == "minor":
        return f"v{major}.{minor}.0" if before and not patch else f"v{major}.{minor + 1}.0"
    return f"v{major}.{minor}.{patch}" if before else f"v{major}.{minor}.{patch + 1}"


class Numbering(NamedTuple):
    """How versions are spelled outside of tags: without the `v`; where each is a major one, `v3.0.0` is 3."""

    bump: str = "patch"

    def outside(self, version: str) -> str:
        plain = version.removeprefix("v")
        if self.bump == "major" and version.startswith("v") and plain.endswith(".0.0") and plain.count(".") == 2:
            return plain.removesuffix(".0.0")
        return plain

    def inside(self, version: str) -> str:
        """As a tag has it: `3`, `v3`, `3.0.0` and `v3.0.0` are one."""
        plain = version.removeprefix("v")
        if self.bump == "major" and plain.isascii() and plain.isdigit() and len(plain) < 16:
            return f"v{plain}.0.0"
        return plain if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", plain) else f"v{plain}"
