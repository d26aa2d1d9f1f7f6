"""A repository looked at: its tags and what the console keeps beside them, read anew only where something moved.

The console's own ref of a model, `refs/mlops-console/models/NAME`, is a chain of commits with one small file, the
`Record`: notes, tags, and a name that has no version yet. Each change of the model adds a commit to it, so that two
consoles which change one model at once cannot both find it as they saw it. `gto` does not look there.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from backends.contract import BackendError, NotFound
from backends.entities import Millis
from backends.gto.address import Address
from backends.gto.ledger import Event, Ledger, ledger
from backends.gto.names import Named, read
from backends.gto.program import Git, trouble
from backends.gto.remote import Remote
from backends.gto.tags import Tag, read_tag
from backends.login import Login

CHAINS: Final = "refs/mlops-console/models/"
RECORD: Final = "record.json"
_MOST: Final = 4_000_000
"""Bytes of a tag or a record that are read."""
_SETTLED_NS: Final = 100_000_000
"""A folder that changed so lately may change again within the same tick of the clock."""


class Words(msgspec.Struct, frozen=True, omit_defaults=True):
    """What people wrote about a version since it was registered."""

    note: str | None = None
    tags: dict[str, str] | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What no tag of GTO says of a model."""

    created_at: Millis = 0
    created_by: str = ""
    updated_at: Millis = 0
    kind: str = "model"
    note: str = ""
    tags: dict[str, str] = {}
    versions: dict[str, Words] = {}
    """By version with its `v`."""
    was: tuple[str, ...] = ()
    """Names that it had before."""
    deleted: bool = False


class Kept(NamedTuple):
    """What is known of one model."""

    ledger: Ledger
    record: Record
    chain: str
    """The newest commit of its chain, or empty."""

    @property
    def there(self) -> bool:
        if self.ledger.there:
            return True
        retired = self.ledger.deprecated_at
        return bool(self.chain) and not self.record.deleted and (retired is None or self.record.created_at > retired)

    @property
    def said(self) -> Record:
        """The record, where it is not about a model of this name that was deleted since."""
        return Record() if self.record.deleted else self.record


class Snapshot(NamedTuple):
    """Every model, as one look saw it."""

    models: Mapping[str, Kept]
    refs: Mapping[str, str]
    """Every ref that was looked at → object."""
    stale: str = ""
    """Why it may be old, in words, or empty."""

    def get(self, name: str) -> Kept:
        return self.models.get(name) or Kept(ledger(name, ()), Record(), "")


class Repository:
    """The repository of an address: where it lies on this machine, or a copy of it in the sidecar's directory."""

    def __init__(self, address: Address, home: Path, login: Login, *, mirror: bool = False) -> None:
        self._lock = threading.RLock()
        self._address = address
        away = address.remote or (f"file://{address.folder}" if mirror else "")
        folder = address.folder if address.folder is not None and not away else home / "gto.git"
        self.git = Git(folder, address.where, login=login, home=home)
        self.remote = Remote(self.git, away, home) if away else None
        self._opened = False
        self._snapshot: Snapshot | None = None
        self._token: object = None
        self._folders: tuple[Path, ...] = ()
        self._tags: dict[str, Tag | None] = {}
        self._records: dict[str, Record] = {}
        self._ledgers: dict[str, tuple[frozenset[tuple[str, str]], Ledger]] = {}
        self._files: dict[str, bytes | None] = {}

    # ------------------------------------------------------------ opening

    def open(self) -> None:
        """Find the repository. NotFound where there is none, Refused where git does not open it."""
        if self._opened:
            return
        if self.remote is not None:
            self.remote.prepare()
        elif self._address.folder is not None:
            self.git.folder = _git_folder(self.git, self._address.folder)
        self._opened = True

    # ------------------------------------------------------------ looking

    def changed(self) -> object:
        """Differs when a tag may have changed; a remote is asked now and then, beside."""
        if not self._opened:
            return None
        if self.remote is not None:
            self.remote.fetch_beside()
        return self._stat()

    def look(self, *, fresh: bool = False) -> Snapshot:
        """Every model. A remote is asked if it was not lately; `fresh` asks in any case, and is Unreachable where it
        does not answer, while a look gives what was seen last and says so."""
        self.open()
        stale = ""
        if self.remote is not None:
            try:
                self.remote.fetch(now=fresh)
            except BackendError as error:
                if fresh or not self.remote.ever:
                    raise
                stale = self.remote.stale(error)
        with self._lock:
            token = self._stat()
            if self._snapshot is None or token is None or token != self._token:
                self._snapshot = self._read()
                self._token = token if self._stat() == token else None
            return self._snapshot._replace(stale=stale) if stale else self._snapshot

    def forget(self) -> None:
        """The next look reads anew: something was just changed."""
        with self._lock:
            self._token = self._snapshot = None

    def _stat(self) -> object:
        """Of the files and folders in which git keeps refs. None where the clock cannot tell yet."""
        found: list[tuple[int, int, int]] = []
        root, newest = self.git.folder, 0
        for path in (root / "packed-refs", root / "reftable" / "tables.list", root / "refs", *self._folders):
            try:
                seen = path.stat()
            except OSError:
                found.append((0, 0, 0))
                continue
            newest = max(newest, seen.st_mtime_ns)
            found.append((seen.st_mtime_ns, seen.st_size, seen.st_ino))
        if time.time_ns() - newest < _SETTLED_NS:
            return None
        return tuple(found)

    def _read(self) -> Snapshot:
        self._folders = tuple(_folders(self.git.folder / "refs"))
        listed = self.git.ask(
            "for-each-ref", "--format=%(objectname) %(refname)", "refs/tags", CHAINS.rstrip("/")
        ).decode("utf-8", "surrogateescape")
        refs = {name: oid for oid, _, name in (line.partition(" ") for line in listed.split("\n") if line)}
        named: dict[str, list[tuple[str, str]]] = {}
        chains: dict[str, str] = {}
        for ref, oid in refs.items():
            if ref.startswith(CHAINS):
                chains[ref.removeprefix(CHAINS).removesuffix("/_").replace("=", ":")] = oid
            elif (found := _read_name(ref)) is not None:
                named.setdefault(found.model, []).append((ref.removeprefix("refs/tags/"), oid))
        self._read_tags({oid for group in named.values() for _, oid in group})
        self._read_records(set(chains.values()))
        models: dict[str, Kept] = {}
        for model in {*named, *chains}:
            known = self._ledger(model, frozenset(named.get(model, ())))
            chain = chains.get(model, "")
            if known.steps or chain:
                models[model] = Kept(known, self._records.get(chain, Record()), chain)
        return Snapshot(dict(sorted(models.items())), refs)

    def _ledger(self, model: str, tags: frozenset[tuple[str, str]]) -> Ledger:
        known = self._ledgers.get(model)
        if known is not None and known[0] == tags:
            return known[1]
        events = []
        for name, oid in tags:
            tag, named = self._tags.get(oid), read(name)
            if tag is not None and named is not None:
                events.append(Event(named, tag, name))
        found = ledger(model, events)
        self._ledgers[model] = tags, found
        return found

    # ------------------------------------------------------------ objects

    def _read_tags(self, wanted: set[str]) -> None:
        new = sorted(wanted - self._tags.keys())
        for oid in self._tags.keys() - wanted:
            del self._tags[oid]
        for oid, content in self._objects(new, "tag"):
            self._tags[oid] = read_tag(content) if content is not None else None

    def _read_records(self, chains: set[str]) -> None:
        new = sorted(chains - self._records.keys())
        for place, content in self._objects([f"{each}:{RECORD}" for each in new], "blob"):
            commit = place.partition(":")[0]
            try:
                self._records[commit] = msgspec.json.decode(content or b"{}", type=Record)
            except msgspec.DecodeError:
                self._records[commit] = Record()

    def _objects(self, names: list[str], kind: str) -> Iterator[tuple[str, bytes | None]]:
        """In order, each with its content; None where it is of another kind, too large, or not there."""
        if not names:
            return
        asked = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
        checked = self.git.ask("cat-file", "--batch-check=%(objecttype) %(objectsize)", given=asked).split(b"\n")
        fit = []
        for name, line in zip(names, checked, strict=False):
            said, _, size = line.rpartition(b" ")
            if said == kind.encode() and size.isdigit() and int(size) <= _MOST:
                fit.append(name)
        content: dict[str, bytes] = {}
        if fit:
            asked = "".join(f"{name}\n" for name in fit).encode("utf-8", "surrogateescape")
            out, at = self.git.ask("cat-file", "--batch=%(objectsize)", given=asked), 0
            for name in fit:
                line_end = out.index(b"\n", at)
                end = line_end + 1 + int(out[at:line_end])
                content[name] = out[line_end + 1 : end]
                at = end + 1
        for name in names:
            yield name, content.get(name)

    def files(self, names: Iterable[str]) -> dict[str, bytes | None]:
        """Small files by `COMMIT:PATH`; None where there is none. What is in a commit never changes."""
        asked = list(dict.fromkeys(names))
        with self._lock:
            new = [name for name in asked if name not in self._files and "\n" not in name]
            if len(self._files) > 50_000:
                self._files.clear()
                new = [name for name in asked if "\n" not in name]
            for name, content in self._objects(new, "blob"):
                self._files[name] = content
            return {name: self._files.get(name) for name in asked}


def chain_ref(model: str) -> str:
    """The ref of a model's chain. Its last part keeps `a` and `a/b` apart, which are no file and folder at once."""
    return f"{CHAINS}{model.replace(':', '=')}/_"


def _read_name(ref: str) -> Named | None:
    return read(ref.removeprefix("refs/tags/"))


def _git_folder(git: Git, folder: Path) -> Path:
    """Of a repository, bare or with a work tree. What git itself does not open, being somebody else's, we do not."""
    if not folder.is_dir():
        raise NotFound(f"{folder} is no folder; correct the address, or make the repository first: git init {folder}")
    done = git.run(
        "-C", str(folder), "rev-parse", "--absolute-git-dir", "--git-common-dir",
        also={"GIT_CEILING_DIRECTORIES": str(folder.parent)}, bare=True,
    )  # fmt: skip
    if done.code:
        error = trouble(str(folder), "rev-parse", done)
        if not isinstance(error, NotFound):
            raise error
        raise NotFound(
            f"{folder} is no git repository; correct the address, or make one: git init {folder} (--bare for one that "
            "is only pushed to)"
        )
    found, common = done.out.decode("utf-8", "surrogateescape").split("\n")[:2]
    return Path(found) if common in (".", ".git") else (folder / common).resolve()


def _folders(root: Path) -> Iterator[Path]:
    """Those in which refs lie that we look at, at any depth."""
    for start in (root / "tags", root / "mlops-console"):
        waiting = [start]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as entries:
                    inner = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
            except OSError:
                continue
            yield folder
            waiting += inner
