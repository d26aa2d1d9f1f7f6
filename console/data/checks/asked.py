"""Run the checks that were asked for: from a file, by name, or those kept for the dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from backends.contract import Backend, Mutation, NotFound
from backends.entities import Definition, Progress, Report
from console.data.checks.grammar import parse_checks, read_checks
from console.data.checks.standing import CHECKS, FILE, checks_of


def check_as_asked(
    backend: Backend,
    ref: str,
    mutation: Mutation,
    *,
    file: Path | None = None,
    use: str = "",
    keep: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """The report, kept unless `keep` is False. NotFound says how to make checks where there are none yet."""
    from console.data.checks.run import check_version, keep_report

    datasets = backend.need("datasets")
    version = datasets.version(ref)
    if file is not None:
        text, label = read_checks(file), str(file)
        definition = f"{file.name} {FILE}{hashlib.sha256(text.encode()).hexdigest()}"
    else:
        kept = kept_checks(backend, use or version.dataset)
        text, label, definition = kept.text, f"checks {kept.ref}", kept.ref
    checks = parse_checks(text, label)
    report = check_version(
        datasets, version.ref, checks, definition=definition, actor=mutation.actor, progress=progress
    )
    return keep_report(backend, report, mutation) if keep else report


def kept_checks(backend: Backend, name: str) -> Definition:
    """By `name@version`, or by `name` (the latest)."""
    definitions = backend.need("definitions")
    if "@" in name:
        found: Definition = definitions.get(CHECKS, name)
        return found
    latest = checks_of(backend, name)
    if latest is None:
        raise NotFound(
            f"there are no checks for {name} yet. Let some be suggested: mlops-console dataset check {name} --suggest "
            "--write checks.toml; then keep them: … --file checks.toml --keep."
        )
    return latest


def keep_checks(backend: Backend, dataset: str, text: str, mutation: Mutation, source: str) -> tuple[Definition, bool]:
    """Keep the text as the dataset's checks, its next version, once it is understood; False where it is there."""
    parse_checks(text, source)
    kept: tuple[Definition, bool] = backend.need("definitions").put(CHECKS, dataset, text, mutation)
    return kept
