"""Deleting a dataset or a version of it, unless what callers get was trained on it. Light to import."""

from __future__ import annotations

import contextlib

from backends.contract import Backend, BackendError, DatasetStore, Invalid, Mutation, NotFound, Refused, all_pages
from backends.entities import DatasetVersion
from console.data.kept import forget_profile


def delete_data(backend: Backend, ref: str, mutation: Mutation, *, override: bool = False) -> int:
    """Delete `name` with all versions, or `name@version`; the bytes of stored files that nothing names any more.

    Refused where a model version with an alias was trained on it, unless overridden with a reason.
    """
    datasets: DatasetStore = backend.need("datasets")
    versions = versions_of(datasets, ref)
    held = trained_on(backend, versions)
    if held and not override:
        more = f", and {len(held) - 3} more" if len(held) > 3 else ""
        raise Refused(
            f"{ref} was not deleted: {', '.join(held[:3])}{more} was trained on it and could not be reproduced. Take "
            "the alias away first, or override with a reason."
        )
    if held and not mutation.reason.strip():
        raise Invalid("overriding needs a reason, which is kept in the journal; nothing was deleted.", "reason")
    freed = datasets.delete(ref, mutation)
    if backend.home is not None:
        for version in versions:
            with contextlib.suppress(NotFound):
                datasets.version(version.digest)
                continue  # the same content is there under another name
            forget_profile(backend.home, version.digest)
    return freed


def versions_of(datasets: DatasetStore, ref: str) -> list[DatasetVersion]:
    """The version `name@version`, or all of `name`."""
    if "@" in ref:
        return [datasets.version(ref)]
    return list(all_pages(lambda at: datasets.versions(ref, at=at, limit=1000)))


def trained_on(backend: Backend, versions: list[DatasetVersion]) -> list[str]:
    """Model versions that an alias names and that read one of these contents, as `model@version (alias)`."""
    registry = backend.registry
    if registry is None:
        return []
    digests = {version.digest for version in versions}
    found = []
    for model in all_pages(lambda at: registry.page(at=at)):
        holders: dict[str, list[str]] = {}
        for alias, number in model.aliases.items():
            holders.setdefault(number, []).append(alias)
        for number, aliases in sorted(holders.items()):
            version = registry.version(model.name, number)
            read = list(version.inputs)
            if version.run and backend.runs is not None:
                with contextlib.suppress(BackendError):  # its run is gone: what the version itself says is all there is
                    read += backend.runs.get(version.run).inputs
            if digests & {each.digest for each in read}:
                found.append(f"{version.ref} ({', '.join(sorted(aliases))})")
    return found
