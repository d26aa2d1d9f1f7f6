"""`mlops-console clean`: give disk space back, by what nothing names, by a rule, or by the context's policy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from backends.contract import BackendError, Refused
from backends.entities.holdings import Going, Part
from console.cli.output import Col, narrate, print_table
from console.cli.verb import Invocation, Verb, reason_option
from console.wording import plural, size

if TYPE_CHECKING:
    from backends.entities.holdings import Freed
    from console.retention.policy import Limits
    from console.retention.rule import Plan

COLUMNS: list[Col[Going]] = [
    Col("what", lambda item: item.part),
    Col("size", lambda item: size(item.bytes), right=True),
    Col("shared", lambda item: size(item.shared) if item.shared else "", right=True),
    Col("why", lambda item: item.why),
    Col("name", lambda item: item.name, widest=100),
]


@click.command("clean", cls=Verb)
@click.option("--older-than", metavar="TIME", help="Deleted runs, artifacts and logs older than 90d, 12h, 2w go.")
@click.option("--max-size", metavar="SIZE", help="Files of the oldest runs go until the workspace fits 20GB.")
@click.option("--keep", metavar="WHAT", help="What stays besides: 'tagged', 'best 3 by auc'.")
@click.option("--datasets", is_flag=True, help="With --older-than: dataset versions that nothing uses go too.")
@click.option("--leftovers", "only_leftovers", is_flag=True, help="Only what nothing names, whatever the policy says.")
@click.option("--dry-run", "--preview", "preview_only", is_flag=True, help="Say what would go, and remove nothing.")
@click.option("--confirm", metavar="NAME", help="Name of the context, to remove by a rule without being asked.")
@reason_option
@click.pass_obj
def clean(
    invocation: Invocation,
    older_than: str | None,
    max_size: str | None,
    keep: str | None,
    datasets: bool,
    only_leftovers: bool,
    preview_only: bool,
    confirm: str | None,
    reason: str,
    key: str,
) -> None:
    """Give disk space back: by --older-than and --max-size, or by the policy of the context, where it has one.

    What nothing names any more goes in any case, unless it was written within the hour. Never touched are registered
    versions and what they stand on, runs with a note or a tag `keep`, runs that have not ended, the best of a sweep,
    and the journal. Of a run whose artifacts or log go, parameters, metrics and history stay.

    A policy, which the agent applies once a day, is a table of config.toml:

    \b
        [contexts.team.retention]
        keep_deleted   = "30 d"
        keep_artifacts = "180 d"
        keep_logs      = "90 d"
        max_size       = "50 GB"
        keep           = "tagged, best 3 by auc"
    """
    from console.cli.follow import ProgressLine
    from console.retention.apply import carry_out, preview

    by_rule = bool(older_than or max_size)
    if datasets and not older_than:
        raise click.UsageError("--datasets says nothing without --older-than: how old may they become?")
    if only_leftovers and (by_rule or keep or datasets):
        raise click.UsageError("--leftovers and a rule are given; give one of them")
    policy = None if only_leftovers else invocation.session.context.retention
    limits, words = _limits(invocation, older_than, max_size, keep, datasets, only_leftovers)
    found = preview(invocation.backend, limits)
    if preview_only:
        invocation.show(document(found), lambda: print_plan(found, would=True))
        return
    if invocation.backend.features.read_only:
        raise Refused(
            f"context {invocation.backend.name} is read-only; nothing was removed. Open it without --read-only."
        )
    asks = sys.stdin.isatty() and sys.stderr.isatty() and not invocation.json
    if asks and confirm is None:
        print_plan(found, would=True)
    if any(each.part is not Part.LEFTOVER for each in found.going):
        name = invocation.session.context.name
        invocation.confirm(name, confirm, deed=f"remove {size(found.bytes)} for good", production_only=False)
    elif asks and found.going and not click.confirm("remove them?", default=False, err=True):
        narrate("nothing was removed")
        return
    if policy is not None and not by_rule:
        words = f"policy {words}"
    many = len(found.going)
    with ProgressLine() as line:
        freed = carry_out(
            invocation.backend,
            found,
            invocation.mutation(reason or words, key),
            told=lambda done: line.update(fraction=done / many, stage=f"{done} of {many}"),
        )
    answer_freed(invocation, freed, shrink=True)


def _limits(
    invocation: Invocation, older_than: str | None, max_size: str | None, keep: str | None, datasets: bool, bare: bool
) -> tuple[Limits, str]:
    """The rule of the command line, or the context's policy; and how the journal calls it."""
    from console.retention.policy import Limits, RetentionPolicy
    from console.retention.spans import time_span

    if bare:
        return Limits(), "clean --leftovers"
    policy = invocation.session.context.retention
    if not older_than and not max_size:
        policy = policy or RetentionPolicy()
        policy = msgspec.structs.replace(policy, keep=keep) if keep else policy
        return policy.limits(), policy.words() or "clean"
    # What the policy keeps stays, too: a rule for once gives away no more than it says.
    kept = ", ".join(each for each in (policy.keep if policy else "", keep or "") if each)
    rule = RetentionPolicy(
        keep_deleted=older_than or "",
        keep_artifacts=older_than or "",
        keep_logs=older_than or "",
        max_size=max_size or "",
        keep=kept,
    )
    limits = rule.limits()
    if datasets and older_than:
        limits = msgspec.structs.replace(limits, data_ms=time_span(older_than, "--older-than"))
    said = [f"--older-than {older_than}" if older_than else "", f"--max-size {max_size}" if max_size else ""]
    said += ["--datasets" if datasets else "", f"--keep {kept}" if kept else ""]
    return limits, " ".join(["clean", *(part for part in said if part)])


def document(found: Plan) -> dict[str, object]:
    return {
        "items": found.going,
        "next": None,
        "bytes": found.bytes,
        "before": found.before,
        "kept": found.kept,
        "notes": found.notes,
    }


def print_plan(found: Plan, *, would: bool = False) -> None:
    from console.retention.rule import summary

    print_table(found.going, COLUMNS, empty="nothing is left over")
    if found.going:
        narrate(f"{summary(found)}{' would go' if would else ''} of {size(found.before)}")
    for why, count in sorted(found.kept.items(), key=lambda pair: -pair[1]):
        narrate(f"{plural(count, 'run')} old enough to go stay: {why}")
    for note in found.notes:
        narrate(note)


def answer_freed(invocation: Invocation, freed: Freed, *, shrink: bool) -> None:
    """What went, with the pages that the database gives back."""
    pages = 0
    if shrink:
        from backends.local.retention import shrink as shrink_database

        try:
            pages = shrink_database(invocation.home())
        except BackendError as error:  # what went is gone; that the database keeps its pages is no failure of it
            narrate(f"the database was not shrunk: {error}")

    def human() -> None:
        for why in freed.left:
            narrate(why)
        narrate(f"{plural(freed.files, 'file')} removed, {size(freed.bytes + pages)} given back")

    invocation.show({**msgspec.to_builtins(freed), "bytes": freed.bytes + pages, "database_bytes": pages}, human)
