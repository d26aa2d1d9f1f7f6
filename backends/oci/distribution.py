"""The verbs of the OCI distribution protocol, as far as models need them. Repositories are named in full."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from backends.contract import BackendError, NotFound, Unauthorized, Unreachable, Unsupported
from backends.login import Login
from backends.oci import manifest, names, trouble
from backends.oci.sending import Ask, Sender
from backends.remote.again import Again
from backends.remote.cache import Cache
from backends.remote.doubt import told_of_a_change
from backends.remote.failure import beginning

if TYPE_CHECKING:
    import httpx

TAGS: Final = 20_000
"""Tags of one repository that are read; more are not looked at."""
REPOSITORIES: Final = 20_000
_PAGE: Final = 1_000
_LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a list, a config or a manifest: never of a file."""
_TAG_AGAIN: Final = Again.FAILED
"""docker-registry answers 500 to who asks for a tag at the moment in which somebody puts it: its file is empty then."""
_ACCEPT: Final = (("Accept", names.ACCEPTED),)


class Held(NamedTuple):
    """What a tag or digest names: `raw` has this digest."""

    digest: str
    raw: bytes

    @property
    def manifest(self) -> manifest.Manifest | None:
        return manifest.read(self.raw)


class Distribution(Sender):
    """One registry. What has a digest is kept on this machine and not asked for again; lists and tags are, too, for
    when the server is away: `keep` says whether such an older answer will do then."""

    def __init__(self, url: str, *, login: Login, options: Mapping[str, str], cache: Path | None) -> None:
        super().__init__(url, login=login, options=options)
        self._cache = Cache(cache)

    # ------------------------------------------------------------ reading

    def ping(self) -> None:
        """One cheap question, whether it is there and speaks the protocol."""
        self._json(Ask("GET", "/v2/"), "/v2/")

    def tags(self, repository: str, *, keep: bool = True) -> list[str]:
        """Every tag, as the server orders them. NotFound where there is no such repository."""
        found = self._paged(repository, f"/v2/{repository}/tags/list", "tags", TAGS, keep)
        return list(dict.fromkeys(each for each in found if names.TAG.fullmatch(each)))

    def repositories(self) -> list[str]:
        """Unsupported or Unauthorized where the server lists none."""
        found = self._paged("", "/v2/_catalog", "repositories", REPOSITORIES, True)
        return [each for each in found if names.REPOSITORY.fullmatch(each)]

    def digest(self, repository: str, reference: str, *, keep: bool = True) -> str:
        """What the tag names now. NotFound where it names nothing."""
        ask = Ask("HEAD", f"/v2/{repository}/manifests/{reference}", f"pull {repository}", headers=_ACCEPT)
        key = Cache.key(self.where, "digest", repository, reference)
        try:
            found = self.send(ask, lambda answer: str(answer.headers.get("docker-content-digest", "")), _TAG_AGAIN)
        except Unreachable:
            kept = self._cache.find(key) if keep else None
            if kept is None:
                raise
            return kept[1].decode()
        if not names.DIGEST.fullmatch(found):  # the header is optional, and others count otherwise than sha256
            found = self.read(repository, reference, keep=keep).digest
        self._cache.keep(key, found.encode())
        return found

    def read(self, repository: str, reference: str, *, keep: bool = True) -> Held:
        """A manifest by tag or digest. One that has not the digest it was asked by is Unreachable: nobody knows what it
        is."""
        by_digest = names.DIGEST.fullmatch(reference) is not None
        key = Cache.key("content", reference) if by_digest else Cache.key(self.where, "tag", repository, reference)
        if by_digest and (kept := self._cache.find(key)) is not None:
            return Held(reference, kept[1])
        ask = Ask("GET", f"/v2/{repository}/manifests/{reference}", f"pull {repository}", headers=_ACCEPT)
        try:
            raw = self.send(ask, lambda answer: self._whole(answer, ask.said, manifest.LARGEST), _TAG_AGAIN)
        except Unreachable:
            kept = self._cache.find(key) if keep else None
            if kept is None:
                raise
            return Held(manifest.digest_of(kept[1]), kept[1])
        found = Held(manifest.digest_of(raw), raw)
        if by_digest and found.digest != reference:
            raise self._other(ask.said, raw)
        if found.manifest is None and not raw.lstrip().startswith(b"{"):
            raise trouble.no_registry(raw, self.where, ask.said)
        self._cache.keep(Cache.key("content", found.digest), raw)
        if not by_digest:
            self._cache.keep(key, raw)
        return found

    def content(self, repository: str, what: manifest.Descriptor) -> bytes:
        """A small blob, whole: a config. It is kept by its digest, and has it."""
        key = Cache.key("content", what.digest)
        kept = self._cache.find(key)
        if kept is not None:
            return kept[1]
        if what.size > _LARGEST:
            raise BackendError(f"{what.digest[:19]}… of {repository} has {what.size:,} bytes, too many for a config")
        ask = Ask("GET", f"/v2/{repository}/blobs/{what.digest}", f"pull {repository}", follows=True)
        raw = self.send(ask, lambda answer: self._whole(answer, ask.said, _LARGEST), Again.BROKEN)
        if manifest.digest_of(raw) != what.digest:
            raise self._other(ask.said, raw)
        self._cache.keep(key, raw)
        return raw

    def _other(self, asked: str, raw: bytes) -> Unreachable:
        if raw[:2_000].lstrip().lower().startswith((b"<!doctype", b"<html")):
            return trouble.no_registry(raw, self.where, asked)
        return Unreachable(
            f"what {self.where} answers to {asked} has not the digest it was asked by: it was cut off or changed "
            "on the way, and is not used; try again later, or look at the proxy in between"
        )

    def _paged(self, repository: str, path: str, field: str, most: int, keep: bool) -> list[str]:
        """The entries of a list that comes in pages, by the Link of each; the first `most`."""
        purpose = f"pull {repository}" if repository else "catalog"
        key = Cache.key(self.where, "list", path)
        found: list[str] = []
        params: tuple[tuple[str, str], ...] = (("n", str(_PAGE)),)
        try:
            while params:
                entries, following = self._one_page(Ask("GET", path, purpose, params=params), field)
                found += entries
                if following == params or len(found) > most:
                    break
                params = following
        except Unreachable:
            kept = self._cache.find(key) if keep else None
            if kept is None:
                raise
            return msgspec.json.decode(kept[1], type=list[str])
        self._cache.keep(key, msgspec.json.encode(found[:most]))
        return found[:most]

    def _one_page(self, ask: Ask, field: str) -> tuple[list[str], tuple[tuple[str, str], ...]]:
        return self.send(ask, lambda answer: self._entries(answer, ask, field), Again.BROKEN)

    def _entries(self, answer: httpx.Response, ask: Ask, field: str) -> tuple[list[str], tuple[tuple[str, str], ...]]:
        raw = self._whole(answer, ask.said, _LARGEST)
        try:
            said = msgspec.json.decode(raw)
            entries = said[field] or []
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
            raise trouble.no_registry(raw, self.where, ask.said) from None
        if not isinstance(entries, list):
            raise trouble.no_registry(raw, self.where, ask.said)
        link = answer.headers.get("link", "")
        query = urlsplit(link[link.find("<") + 1 : link.find(">")]).query if 'rel="next"' in link else ""
        return [each for each in entries if isinstance(each, str)], tuple(parse_qsl(query))

    def _json(self, ask: Ask, what: str) -> Any:
        raw = self.send(ask, beginning, Again.BROKEN)
        try:
            return msgspec.json.decode(raw) if raw.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise trouble.no_registry(raw, self.where, what) from None

    def _whole(self, answer: httpx.Response, asked: str, most: int) -> bytes:
        gathered = bytearray()
        for part in answer.iter_bytes():
            gathered += part
            if len(gathered) > most:
                raise BackendError(f"{self.where} answered {asked} with over {most:,} bytes; that is no such thing")
        return bytes(gathered)

    # ------------------------------------------------------------ changing

    def put(
        self, repository: str, reference: str, raw: bytes, *, only_at: str = "", only_new: bool = False
    ) -> tuple[str, bool]:
        """A manifest under a tag, or by its own digest; (its digest, whether the server itself keeps what it is about).
        Putting it twice does the same.

        `only_at` and `only_new` are asked of the server by If-Match and If-None-Match: `Moved` from one that looks at
        them, and nothing from the others.
        """
        said = manifest.read(raw) or manifest.Manifest()
        media = said.media_type or (names.INDEX if said.manifests else names.MANIFEST)
        headers: tuple[tuple[str, str], ...] = (("Content-Type", media),)
        if only_at:
            headers += (("If-Match", f'"{only_at}"'),)
        if only_new:
            headers += (("If-None-Match", "*"),)
        ask = Ask("PUT", f"/v2/{repository}/manifests/{reference}", f"push {repository}", headers=headers, body=raw)
        with told_of_a_change():
            kept = self.send(ask, lambda answer: "oci-subject" in answer.headers, Again.FAILED)
        return manifest.digest_of(raw), kept

    def referrers(self, repository: str, digest: str, kind: str) -> tuple[manifest.Descriptor, ...]:
        """What is about a manifest, of one artifact type. NotFound from a server that keeps no such lists."""
        ask = Ask("GET", f"/v2/{repository}/referrers/{digest}", f"pull {repository}", params=(("artifactType", kind),))
        raw = self.send(ask, lambda answer: self._whole(answer, ask.said, _LARGEST), Again.BROKEN)
        found = manifest.read(raw)
        if found is None:
            raise trouble.no_registry(raw, self.where, ask.said)
        return tuple(each for each in found.manifests if each.artifact_type == kind)

    def delete(self, repository: str, reference: str) -> None:
        """A manifest by digest and its tags with it, or a tag alone where the server can. Unsupported where deletion is
        turned off, and for tags in most."""
        ask = Ask("DELETE", f"/v2/{repository}/manifests/{reference}", f"delete {repository}")
        with told_of_a_change():
            try:
                self.send(ask, beginning, Again.FAILED)
            except Unsupported as error:
                raise Unsupported(
                    f"{error}. A registry deletes nothing unless its admin lets it: docker-registry is started with "
                    "REGISTRY_STORAGE_DELETE_ENABLED=true; nothing was changed"
                ) from None

    def close(self) -> None:
        super().close()
        self._cache.close()


def refuses_lists(error: BackendError) -> bool:
    """Whether an error of `repositories` says that the server lists none, rather than that it is away."""
    return isinstance(error, Unsupported | Unauthorized | NotFound)
