"""The data verbs in a process of their own, typed as in their modules: what the screen calls. Light to import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from backends.connect import place_of
from backends.contract import Backend, Mutation, Refused
from backends.entities import Progress, Report
from console.data.bias.examine import BiasJob
from console.data.diff import VersionDiff
from console.data.importing import Imported
from console.data.kept import kept_profile
from console.data.origin import ORIGIN, Origin, check_no_secret
from console.data.profile import VersionProfile
from console.data.rows import RowPage
from console.offload import run_offloaded

MODULE = "console.data.worker"


def import_offloaded(
    backend: Backend,
    origin: Origin,
    name: str,
    mutation: Mutation,
    *,
    note: str = "",
    parent: str = "",
    onto: str = "",
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Imported:
    """As `importing.import_origin`."""
    options = {"actor": mutation.actor, "reason": mutation.reason, "key": mutation.key}
    options |= {"note": note, "parent": parent, "onto": onto}
    backend.need("datasets")
    check_no_secret(origin.target)
    if backend.features.read_only:
        raise Refused(
            f"context {backend.name} is read-only: {origin.short} was not imported. Open it without --read-only."
        )
    # `--option=value` and `--` keep a name or path that starts with a dash from being taken for an option
    flags = [f"--{key}={value}" for key, value in options.items() if value]
    # not in the command line: a URL may be signed, and everyone on the machine reads command lines
    env = {ORIGIN: msgspec.json.encode(origin.here()).decode()}
    args = [place_of(backend), "import", *flags, "--", name]
    return msgspec.convert(run_offloaded(MODULE, args, on_progress=on_progress, cancel=cancel, env=env), Imported)


def profile_offloaded(
    backend: Backend,
    ref: str,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> VersionProfile:
    """As `kept.profile_kept`; one that is kept is read here, without a process."""
    found = kept_profile(backend.home, backend.need("datasets").version(ref))
    if found is not None:
        return found
    return msgspec.convert(_run(backend, ["profile", "--", ref], on_progress, cancel), VersionProfile)


def diff_offloaded(
    backend: Backend,
    before: str,
    after: str,
    *,
    key: tuple[str, ...] = (),
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> VersionDiff:
    """As `diff.diff_versions`."""
    args = ["diff", *(f"--by={name}" for name in key), "--", before, after]
    return msgspec.convert(_run(backend, args, on_progress, cancel), VersionDiff)


def rows_offloaded(
    backend: Backend, ref: str, offset: int = 0, limit: int = 100, *, cancel: Callable[[], bool] | None = None
) -> RowPage:
    """As `rows.read_rows`."""
    args = ["rows", f"--offset={offset}", f"--limit={limit}", "--", ref]
    return msgspec.convert(_run(backend, args, None, cancel), RowPage)


def bias_offloaded(
    backend: Backend,
    job: BiasJob,
    actor: str,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Report:
    """As `bias.examine.examine_version`."""
    args = ["bias", f"--actor={actor}", "--", msgspec.json.encode(job).decode()]
    return msgspec.convert(_run(backend, args, on_progress, cancel), Report)


def export_offloaded(
    backend: Backend,
    ref: str,
    path: Path,
    *,
    format: str | None = None,  # noqa: A002
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Path:
    """As `export.export_version`."""
    flags = [*([f"--format={format}"] if format else []), *(["--overwrite"] if overwrite else [])]
    return Path(_run(backend, ["export", *flags, "--", ref, str(path)], on_progress, cancel))


def check_offloaded(
    backend: Backend,
    ref: str,
    mutation: Mutation,
    *,
    file: Path | None = None,
    use: str = "",
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Report:
    """As `checks.asked.check_as_asked`. In a read-only context the report is not kept."""
    options = {"actor": mutation.actor, "reason": mutation.reason, "key": mutation.key, "use": use}
    options |= {"file": str(file) if file is not None else ""}
    flags = [f"--{key}={value}" for key, value in options.items() if value]
    unkept = ["--unkept"] if backend.features.read_only or backend.reports is None else []
    result = _run(backend, ["check", *flags, *unkept, "--", ref], on_progress, cancel)
    return msgspec.convert(result, Report)


def suggest_offloaded(
    backend: Backend,
    ref: str,
    *,
    target: str = "",
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> str:
    """As `checks.suggest.suggest_checks`: TOML."""
    flags = [f"--target={target}"] if target else []
    return str(_run(backend, ["suggest", *flags, "--", ref], on_progress, cancel))


def _run(
    backend: Backend, args: list[str], on_progress: Callable[[Progress], None] | None, cancel: Callable[[], bool] | None
) -> Any:
    return run_offloaded(MODULE, [place_of(backend), *args], on_progress=on_progress, cancel=cancel)
