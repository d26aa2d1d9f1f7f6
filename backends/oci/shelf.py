"""One repository: which of its tags are versions, which are aliases of one, and what is kept beside them.

A tag says nothing of itself. In this order:

1. `sha256-…` belongs to another manifest (signatures, referrers); `mlops-console.about` is our record of the model.
2. What looks like a number or a release (`3`, `v1.2.0`, `2024.10-rc1`) is a version.
3. Any other tag is asked for. Where its manifest names a version (our annotation, or OCI's own) and the tag of that
   version has the same digest, or else where any version has the same digest, it is an alias of it. Where its digest is
   no version's, it is a version of its own, named by the tag.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec

from backends.contract import NotFound
from backends.entities import Millis
from backends.oci import names
from backends.oci.distribution import Distribution, Held
from backends.oci.manifest import Manifest
from backends.together import together

ASKED: Final = 200
"""Tags that look like no version and are asked what they name; of more, the rest are taken for versions."""
COMPARED: Final = 200
"""Newest versions whose digests are compared with those of foreign tags."""


class Beside(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was said of a version since it was registered; None where nothing was."""

    note: str | None = None
    tags: dict[str, str] | None = None


class About(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a model beside its versions, in a manifest of its own."""

    kind: str = "model"
    created_at: Millis = 0
    created_by: str = ""
    updated_at: Millis = 0
    note: str = ""
    tags: dict[str, str] = {}
    last: int = 0
    """The last number that was given to a version, also where that was deleted since."""
    versions: dict[str, Beside] = {}


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """A repository as it was looked at."""

    versions: tuple[str, ...]
    """Newest first."""
    aliases: dict[str, str]
    """alias → version."""
    digests: dict[str, str]
    """tag → digest, of the tags that were asked for."""
    beside: frozenset[str]
    """Tags about other manifests."""
    about: About | None
    about_digest: str = ""
    gone: frozenset[str] = frozenset()
    """Tags that name nothing any more, where the server cannot take a tag away."""

    fresh: bool = False
    """As the registry said just now; else perhaps as it said before it went away."""

    @property
    def latest(self) -> str:
        return self.versions[0] if self.versions else ""


def look(registry: Distribution, repository: str, *, keep: bool = True) -> Shelf:
    """NotFound where there is no such repository, or nothing of a model in it."""
    tags = registry.tags(repository, keep=keep)
    beside = frozenset(tag for tag in tags if names.BESIDE.fullmatch(tag))
    plain = [tag for tag in tags if tag not in beside and tag != names.ABOUT_TAG]
    versions = names.newest_first([tag for tag in plain if names.NUMBERED.fullmatch(tag)])
    others = sorted(tag for tag in plain if not names.NUMBERED.fullmatch(tag))
    asked, rest = others[:ASKED], others[ASKED:]
    named = together([partial(_named, registry, repository, tag, keep) for tag in asked])
    found = {tag: held for tag, held in zip(asked, named, strict=True) if held is not None}
    shelved = _sorted(registry, repository, versions, found, keep)
    about = _about(registry, repository, keep) if names.ABOUT_TAG in tags else None
    every = names.newest_first([*versions, *shelved.versions, *rest])
    if not every and about is None and not shelved.gone:
        raise NotFound(f"there is no model in {repository}")
    return Shelf(
        versions=tuple(every),
        aliases=dict(sorted(shelved.aliases.items())),
        digests=shelved.digests,
        beside=beside,
        about=about[0] if about else None,
        about_digest=about[1] if about else "",
        gone=shelved.gone,
        fresh=not keep,
    )


def _named(registry: Distribution, repository: str, tag: str, keep: bool) -> Held | None:
    """What a tag names: its digest is asked for, its manifest only where that is new. None where it went meanwhile."""
    try:
        digest = registry.digest(repository, tag, keep=keep)
        return registry.read(repository, digest, keep=keep)
    except NotFound:
        return None


def _sorted(
    registry: Distribution, repository: str, versions: list[str], found: Mapping[str, Held], keep: bool
) -> Shelf:
    """The tags that look like no version: aliases, versions of their own, and what is gone."""
    digests = {tag: held.digest for tag, held in found.items()}
    told = {tag: held.manifest or Manifest() for tag, held in found.items()}
    gone = frozenset(tag for tag, said in told.items() if said.artifact_type == names.GONE_TYPE)
    there = {tag: said for tag, said in told.items() if tag not in gone}
    numbered = set(versions)
    claimed = {tag: claim for tag, said in there.items() if (claim := _claim(said)) in numbered and claim}
    _ask(registry, repository, {*claimed.values()}, digests, keep)
    aliases = {tag: claim for tag, claim in claimed.items() if digests.get(claim) == digests[tag]}
    open_ = [tag for tag in there if tag not in aliases]
    if open_:
        _ask(registry, repository, set(versions[:COMPARED]), digests, keep)
        holders = {digests[version]: version for version in reversed(versions) if version in digests}
        aliases |= {tag: holders[digests[tag]] for tag in open_ if digests[tag] in holders}
    own = tuple(tag for tag in there if tag not in aliases)
    # Of several such tags at one digest the one that its manifest names is the version; else the first.
    first: dict[str, str] = {}
    for tag in sorted(own, key=lambda tag: (_claim(there[tag]) != tag, tag)):
        first.setdefault(digests[tag], tag)
    aliases |= {tag: first[digests[tag]] for tag in own if first[digests[tag]] != tag}
    return Shelf(
        versions=tuple(first.values()), aliases=aliases, digests=digests, beside=frozenset(), about=None, gone=gone
    )


def _claim(said: Manifest) -> str:
    return said.annotations.get(names.OUR_VERSION) or said.annotations.get(names.VERSION, "")


def _ask(registry: Distribution, repository: str, tags: set[str], digests: dict[str, str], keep: bool) -> None:
    """The digests of more tags."""

    def one(tag: str) -> str:
        try:
            return registry.digest(repository, tag, keep=keep)
        except NotFound:
            return ""

    missing = sorted(tag for tag in tags if tag not in digests)
    for tag, digest in zip(missing, together([partial(one, tag) for tag in missing]), strict=True):
        if digest:
            digests[tag] = digest


def _about(registry: Distribution, repository: str, keep: bool) -> tuple[About, str] | None:
    held = _named(registry, repository, names.ABOUT_TAG, keep)
    said = held.manifest if held is not None else None
    if held is None or said is None or said.config is None:
        return None
    try:
        return msgspec.json.decode(registry.content(repository, said.config), type=About), held.digest
    except (msgspec.DecodeError, NotFound):
        return None
