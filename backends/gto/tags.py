"""Annotated tags as git keeps them, and what the console writes into their messages.

A message begins with words for a person: the reason, or what `gto` itself would have said. The console's own tags end
in one line of JSON, the `Change`, which says exactly who, when and why, and which tags belong to the same change. All
tags of a change carry the same line, so that each of them tells of the whole.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec

from backends.contract import Mutation
from backends.entities import GateResult, Millis

_MARK: Final = "mlops-console: "
_GENERIC: Final = (
    "Registering artifact ", "Deregistering artifact ", "Assigning stage ", "Unassigning stage ",
    "Deprecating artifact ",
)  # fmt: skip
"""How messages begin where a person gave no reason, as `gto` writes them."""
_IDENTITY: Final = re.compile(rb"(.*?) ?<([^<>]*)> (-?[0-9]{1,15})(?: [+-][0-9]{4})?")
_ANGLES: Final = str.maketrans({"<": "‹", ">": "›", "\n": " ", "\r": " ", "\0": " "})


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of a model: what the journal keeps of it."""

    id: str
    action: str
    actor: str
    at: Millis
    reason: str = ""
    key: str = ""
    target: str = ""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    gates: tuple[GateResult, ...] = ()
    tags: tuple[tuple[str, str, int], ...] = ()
    """(name, commit, seconds) of each tag that belongs to it."""
    record: str = ""
    """Of a registration: path of the version's record in its commit."""
    records: dict[str, str] = {}
    """The same of a model that was given another name, by version."""
    aliases: tuple[str, ...] = ()
    """In the order in which they were asked for."""


class Tag(NamedTuple):
    """An annotated tag on a commit. Texts are as they came, with what is no UTF-8 replaced."""

    commit: str
    at: int
    """Seconds."""
    actor: str
    message: str
    change: Change | None


def read_tag(content: bytes) -> Tag | None:
    """None where it is a tag of something else than a commit, or is none that git would write."""
    head, _, message = content.partition(b"\n\n")
    fields = dict(line.split(b" ", 1) for line in head.split(b"\n") if b" " in line)
    if fields.get(b"type") != b"commit" or b"object" not in fields:
        return None
    who = _IDENTITY.fullmatch(fields.get(b"tagger", b""))
    name, mail = (who[1].decode("utf-8", "replace"), who[2].decode("utf-8", "replace")) if who else ("", "")
    text = message.partition(b"-----BEGIN ")[0].decode("utf-8", "replace")
    words, change = _split(text)
    return Tag(
        commit=fields[b"object"].decode("ascii", "replace"),
        at=int(who[3]) if who else 0,
        actor=change.actor if change is not None else mail or name or "somebody",
        message=words,
        change=change,
    )


def reason_of(tag: Tag) -> str:
    """What a person gave, or empty."""
    if tag.change is not None:
        return tag.change.reason
    return "" if tag.message.startswith(_GENERIC) else tag.message


def _split(text: str) -> tuple[str, Change | None]:
    words, mark, said = text.rpartition(f"\n{_MARK}")
    if mark:
        try:
            return words.strip(), msgspec.json.decode(said.strip(), type=Change)
        except (msgspec.DecodeError, UnicodeEncodeError):
            pass  # somebody wrote it by hand, or another version of the console did: the words are all we know
    return text.strip(), None


def written(name: str, commit: str, at: int, change: Change, words: str) -> bytes:
    """The content of a tag object."""
    person, mail = identity(change.actor)
    said = msgspec.json.encode(change).decode()
    text = f"{plain(change.reason).strip() or words}\n\n{_MARK}{said}\n"
    head = f"object {commit}\ntype commit\ntag {name}\ntagger {person} <{mail}> {at} +0000\n\n"
    return (head + text).encode("utf-8", "replace")


def plain(text: str) -> str:
    """Without what git does not keep in a message, and without a line that could pass for ours."""
    return text.replace("\0", " ").replace("\r\n", "\n").replace(f"\n{_MARK}", f"\n {_MARK}").removeprefix(_MARK)


def identity(actor: str) -> tuple[str, str]:
    """(name, e-mail) of whoever acts: `ann@box` is both her name and her address."""
    plain = " ".join(actor.translate(_ANGLES).split())[:200].strip(" .,:;<>\"'") or "somebody"
    name = plain.partition("@")[0].strip(" .,:;\"'") or plain
    return name, plain if re.fullmatch(r"[^\s@]+@[^\s@]+", plain) else ""


def change_of(mutation: Mutation, action: str, **more: Any) -> Change:
    """Of a mutation, with an id and a time of its own."""
    import time
    import uuid

    return Change(
        id=uuid.uuid4().hex,
        action=mutation.action or action,
        actor=mutation.actor,
        reason=mutation.reason,
        key=mutation.key,
        gates=mutation.gates,
        at=time.time_ns() // 1_000_000,
        **more,
    )
