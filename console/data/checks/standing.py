"""Whether a dataset version may be trained on: what its checks said when they were last run. Light: nothing is read
of the data."""

from __future__ import annotations

from dataclasses import dataclass

from backends.contract import Backend, NotFound
from backends.entities import CheckResult, DatasetVersion, Definition, GateResult, GateStatus, Report

CHECKS = "checks"
"""Kind of the definitions and of the reports."""
FILE = "sha256:"
"""In the `definition` of a report on checks that were run from a file and not kept."""


@dataclass(frozen=True)
class Standing:
    """What is known of a version's checks."""

    definition: Definition | None = None
    """The checks kept for its dataset, the latest version of them."""
    report: Report | None = None
    """The report that decides: on this very content, by those checks; or where there are none, the latest."""
    outdated: bool = False
    """The report is by an earlier version of the checks."""

    @property
    def wanting(self) -> bool:
        """Its checks were not run yet, as they are now."""
        return self.definition is not None and (self.report is None or self.outdated)

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        results = self.report.results if self.report else ()
        return tuple(result for result in results if result.status is GateStatus.FAIL)

    @property
    def warned(self) -> tuple[CheckResult, ...]:
        results = self.report.results if self.report else ()
        return tuple(result for result in results if result.status is GateStatus.WARN)

    @property
    def word(self) -> str:
        """`pass`, `warn`, `fail`; `not run` where there are checks without a report; empty where there is neither."""
        if self.wanting:
            return "not run"
        return self.report.status.value if self.report else ""


def standing_of(backend: Backend, version: DatasetVersion) -> Standing:
    """How a version stands. A report on other content than the version now has does not count.

    A failing report from a file that was not kept counts as well as one by the kept checks; a passing one does not
    stand in for them.
    """
    if backend.reports is None:
        return Standing()
    definition = checks_of(backend, version.dataset)
    last = backend.reports.latest(CHECKS, version.ref)
    if last is not None and last.digest == version.digest and definition and last.definition == definition.ref:
        return Standing(definition, last)
    found = [
        report
        for report in backend.reports.page(CHECKS, version.ref, limit=100).items
        if report.digest == version.digest
    ]
    if not found:
        return Standing(definition)
    latest = found[0]
    if definition is None or (FILE in latest.definition and latest.status is GateStatus.FAIL):
        return Standing(definition, latest)
    by_these = next((report for report in found if report.definition == definition.ref), None)
    return Standing(definition, by_these or latest, outdated=by_these is None)


def checks_of(backend: Backend, dataset: str) -> Definition | None:
    """The latest checks kept for a dataset."""
    if backend.definitions is None:
        return None
    try:
        return backend.definitions.get(CHECKS, dataset)
    except NotFound:
        return None


def as_gates(results: tuple[CheckResult, ...]) -> tuple[GateResult, ...]:
    """Check results as what stands before a deed."""
    return tuple(
        GateResult(gate=each.check, status=each.status, value=each.value, rule=each.rule, detail=each.detail)
        for each in results
    )


def in_words(results: tuple[CheckResult, ...], most: int = 3) -> str:
    """`complete dep_delay (5.1 % missing, wanted at most 3 % missing) and 2 more`."""
    told = []
    for each in results[:most]:
        wanted = f"{each.value or each.detail}" + (f", wanted {each.rule}" if each.rule and each.value else "")
        told.append(f"{each.check} ({wanted})")
    more = len(results) - most
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")
