"""Only data that passed its checks is trained on; in spite of that only with a reason, which the journal keeps."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from backends.contract import Backend, Invalid, Mutation, Refused
from backends.entities import CheckResult, DatasetVersion, Progress, Run
from console.data.checks.standing import Standing, as_gates, in_words, standing_of

OVERRIDDEN_TAG = "console.checks_overridden"
"""On a run that was started in spite of failing checks: the reason."""


class ChecksFailed(Refused):
    """The version does not pass its checks; `gates` are those that fail."""


def admit(
    backend: Backend,
    version: DatasetVersion,
    mutation: Mutation,
    *,
    override: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[CheckResult, ...]:
    """What fails and is overridden; mostly nothing. ChecksFailed where something fails and nobody overrides it.

    Checks that are kept for the dataset and were not run on this version yet, as they are now, are run first, in a
    process of their own. An override that has no reason is Invalid.
    """
    standing = examined(backend, version, mutation, on_progress)
    failed = standing.failed
    if not failed:
        return ()
    if not override:
        raise ChecksFailed(
            f"{version.ref} does not pass its checks: {len(failed)} of {len(_results(standing))} fail: "
            f"{in_words(failed)}. Nothing was started. mlops-console dataset check {version.ref} shows the rows; "
            "to train on it all the same, start again with --override-checks and the reason in -m.",
            as_gates(failed),
        )
    if not mutation.reason.strip():
        raise Invalid(
            f"overriding the checks of {version.ref} needs a reason, which the journal keeps; say why with -m.",
            "reason",
        )
    return failed


def examined(
    backend: Backend,
    version: DatasetVersion,
    mutation: Mutation,
    on_progress: Callable[[Progress], None] | None = None,
) -> Standing:
    """How the version stands once its checks are run, where they were not."""
    standing = standing_of(backend, version)
    if not standing.wanting:
        return standing
    from console.data.offloaded import check_offloaded

    reason = "before training"
    part = msgspec.structs.replace(mutation, reason=reason, key=f"{mutation.key}:check" if mutation.key else "")
    report = check_offloaded(backend, version.ref, part, on_progress=on_progress)
    return Standing(standing.definition, report)


def note_override(
    backend: Backend, version: DatasetVersion, run: Run, failed: tuple[CheckResult, ...], mutation: Mutation
) -> None:
    """Write into the journal that a run was started in spite of what fails, and why."""
    part = msgspec.structs.replace(mutation, key=f"{mutation.key}:override" if mutation.key else "")
    backend.need("journal").record(
        "dataset.override_checks",
        version.ref,
        part,
        after={"run": run.id, "failed": [result.check for result in failed], "digest": version.digest},
        detail=in_words(failed),
    )


def _results(standing: Standing) -> tuple[CheckResult, ...]:
    return standing.report.results if standing.report else ()
