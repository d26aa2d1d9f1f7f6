"""Run checks over a version: one pass over its batches for all of them, then the columns that want to be seen whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from backends.contract import Backend, DatasetStore, Invalid, Mutation, NotFound
from backends.entities import CheckResult, DatasetVersion, GateStatus, Progress, Report
from console.data.checks import leaks, rowwise, spread, statistics, table  # noqa: F401  they register their kinds
from console.data.checks.finding import EXAMINERS, Examiner, Finding
from console.data.checks.source import Source
from console.data.checks.spec import Check, CheckSet, columns_of
from console.data.checks.standing import CHECKS

LONGEST = 400
"""Characters of an example that are kept: a field may have millions."""


def check_version(
    datasets: DatasetStore,
    ref: str,
    checks: CheckSet,
    *,
    definition: str = "",
    actor: str = "",
    progress: Callable[[Progress], None] | None = None,
    now: int | None = None,
) -> Report:
    """What the checks find in a dataset version; nothing is kept.

    Memory holds a batch, 8 bytes a row for each check that compares rows, and one column of numbers. `now` is in
    milliseconds, for freshness. A check that cannot be carried out (its column is gone, is of another type, the other
    version is not there) does not hold, and its detail says why.
    """
    version = datasets.version(ref)
    at = int(time.time() * 1000) if now is None else now
    source = Source(datasets, version, at)
    examined = [(check, _examiner(check, source)) for check in checks.checks]
    live = [examiner for _, examiner in examined if isinstance(examiner, Examiner)]
    _stream(source, live, progress)
    findings = {id(examiner): _found(examiner) for examiner in sorted(live, key=lambda each: each.whole)}
    source.release()
    results = tuple(
        _result(check, findings[id(examiner)] if isinstance(examiner, Examiner) else examiner)
        for check, examiner in examined
    )
    return Report(
        kind=CHECKS,
        subject=version.ref,
        status=worst(results),
        at=int(time.time() * 1000),
        actor=actor,
        digest=version.digest,
        definition=definition,
        results=results,
    )


def keep_report(backend: Backend, report: Report, mutation: Mutation) -> Report:
    """Keep a report, and note in the journal that the version was checked and what failed."""
    kept: Report = backend.need("reports").add(report)
    backend.need("journal").record(
        "dataset.check",
        report.subject,
        mutation,
        after={
            "status": report.status,
            "checks": len(report.results),
            "failed": [result.check for result in report.results if result.status is GateStatus.FAIL][:50],
            "warned": [result.check for result in report.results if result.status is GateStatus.WARN][:50],
            "definition": report.definition,
            "report": kept.id,
        },
    )
    return kept


def worst(results: Sequence[CheckResult]) -> GateStatus:
    found = {result.status for result in results}
    for status in (GateStatus.FAIL, GateStatus.WARN):
        if status in found:
            return status
    return GateStatus.PASS


def _examiner(check: Check, source: Source) -> Examiner | Finding:
    if check.KIND not in ("required", "strict"):
        for name in columns_of(check):
            absent = source.absent(name)
            if absent:
                return Finding(False, detail=absent)
    try:
        return EXAMINERS[type(check)](check, source)
    except (Invalid, NotFound) as error:
        return Finding(False, detail=str(error))


def _found(examiner: Examiner) -> Finding:
    try:
        return examiner.found()
    except (Invalid, NotFound) as error:
        return Finding(False, detail=str(error))


def _stream(source: Source, examiners: Sequence[Examiner], progress: Callable[[Progress], None] | None) -> None:
    reading = [examiner for examiner in examiners if examiner.reads]
    names = {name for examiner in reading for name in examiner.reads}
    if not names:
        return
    plain = {name for examiner in reading for name in examiner.plain}
    began = time.monotonic()
    ordered = [name for name in source.names if name in names]
    for rows in source.batches(ordered, sorted(plain)):
        for examiner in reading:
            examiner.add(rows)
        if progress is not None:
            progress(_progress(source.version, rows.first + len(rows), began))


def _progress(version: DatasetVersion, done: int, began: float) -> Progress:
    spent = max(time.monotonic() - began, 1e-3)
    fraction = min(done / max(version.rows, 1), 1.0)
    return Progress(
        at=int(time.time() * 1000),
        fraction=fraction,
        stage=f"checking {version.ref}",
        rate=f"{done / spent / 1e6:.1f} M rows/s",
        eta_s=spent * (1 - fraction) / fraction if fraction else None,
    )


def _result(check: Check, finding: Finding) -> CheckResult:
    return CheckResult(
        check=check.name,
        kind=check.KIND,
        status=GateStatus.PASS if finding.holds else GateStatus(check.severity),
        columns=columns_of(check),
        value=finding.value,
        rule=finding.rule,
        detail=finding.detail,
        failing=finding.failing,
        rows=finding.rows,
        examples=tuple(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…" for text in finding.examples),
        owner=check.owner,
        note=check.note,
    )
