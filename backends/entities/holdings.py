"""What a store holds that could go for good, what needs it, and what went: the nouns of `RetentionStore`."""

from __future__ import annotations

from enum import StrEnum

from backends.entities.record import Millis, Record

ARTIFACTS_GONE = "console.artifacts_removed"
"""Tag of a run whose artifacts were removed: when, by whom, why."""
LOG_GONE = "console.log_removed"
"""Tag of a run whose log was removed."""
KEEP = "keep"
"""Tag by which a person keeps a run, unless it says `false` or `no`."""


class Part(StrEnum):
    """What of the store goes."""

    RUN = "run"
    """A deleted run with all that is known of it."""
    ARTIFACTS = "artifacts"
    """Files of a run; its parameters, metrics and journal stay."""
    LOG = "log"
    """The log of a run; the rest stays."""
    DATA = "dataset version"
    LEFTOVER = "leftover"
    """A file that nothing names, or that nobody finished."""


class HeldFile(Record, frozen=True, kw_only=True):
    """One file of a run, or of a model that the run logged."""

    path: str
    sha256: str
    bytes: int
    owner: str = ""
    """Id of the logged model that keeps it, where it is not the run itself."""


class RunHolding(Record, frozen=True, kw_only=True):
    """A run that has ended, and what lies on the disk for it."""

    run: str
    name: str
    experiment: str
    at: Millis
    """When it ended."""
    deleted_at: Millis | None = None
    files: tuple[HeldFile, ...] = ()
    folder_bytes: int = 0
    """Of its folder, without its log and its copies of artifacts."""
    copies_bytes: int = 0
    """Of copies of its artifacts in its folder."""
    log_bytes: int = 0
    tags: tuple[str, ...] = ()
    """Names of its tags, without those of programs."""
    needed: str = ""
    """Why it cannot go at all: a registered version stands on it, …"""
    wanted: str = ""
    """Why no rule may take it, though a person may: a note, a `keep` tag."""


class Room(Record, frozen=True, kw_only=True):
    """What a run takes on the disk."""

    bytes: int
    """Files, each content once, its folder and its log."""
    log: int = 0
    shared: int = 0
    """Of it files that others have too."""


class DataHolding(Record, frozen=True, kw_only=True):
    """A version of a dataset and its file."""

    ref: str
    digest: str
    at: Millis
    object: str
    bytes: int
    needed: str = ""


class Leftover(Record, frozen=True, kw_only=True):
    """What nothing names any more, or nobody finished."""

    path: str
    """Within the workspace."""
    bytes: int
    why: str


class Holdings(Record, frozen=True, kw_only=True):
    """All of it, as it was at one moment."""

    runs: tuple[RunHolding, ...] = ()
    data: tuple[DataHolding, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    pinned: frozenset[str] = frozenset()
    """Files, by sha256, of what is not among these runs and data: runs that have not ended, for one."""
    bytes: int = 0
    """Of the whole workspace on the disk."""
    note: str = ""
    """What of the context is not in it, and who could remove that."""


class Going(Record, frozen=True, kw_only=True):
    """One thing that is to go."""

    part: Part
    target: str
    """Id of a run, `name@version`, or a path within the workspace."""
    name: str = ""
    """How a person calls it."""
    why: str = ""
    bytes: int = 0
    """What its going gives back, given that all before it in the list are gone."""
    shared: int = 0
    """Bytes of it that stay, because others have the same files."""
    stays: tuple[str, ...] = ()
    """Paths of artifacts that stay."""
    asked: bool = False
    """A person named this very thing: a note on it is no reason against."""


class Freed(Record, frozen=True, kw_only=True):
    """What became of it."""

    gone: int = 0
    """Things that went."""
    files: int = 0
    bytes: int = 0
    """Given back to the disk, of files that are gone."""
    left: tuple[str, ...] = ()
    """What did not go, and why, as sentences."""
