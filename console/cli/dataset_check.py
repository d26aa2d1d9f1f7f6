"""`mlops-console dataset check`: is a version fit to train on? Exit 1 where a check fails, so that CI can ask."""

from __future__ import annotations

from pathlib import Path

import click

from backends.entities import CheckResult, GateStatus, Report
from console.cli.exit import Exit
from console.cli.output import Col, gap, narrate, print_lines, print_table
from console.cli.verb import Invocation, Verb, reason_option
from console.wording import plural

RESULT_COLUMNS: list[Col[CheckResult]] = [
    Col("status", lambda item: item.status, state=True),
    Col("check", lambda item: item.check, widest=48),
    Col("found", lambda item: item.value, widest=48),
    Col("wanted", lambda item: item.rule, widest=48),
    Col("detail", lambda item: item.detail, widest=60),
    Col("owner", lambda item: item.owner, widest=20),
]


def _print_kinds(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from console.data.checks.spec import described

        print_lines("\n".join(described()))
        ctx.exit()


@click.command("check", cls=Verb)
@click.argument("ref", metavar="NAME[@VERSION]")
@click.option(
    "--file", type=click.Path(path_type=Path), default=None, metavar="TOML", help="Checks from this file, not the kept."
)
@click.option("--use", default="", metavar="NAME[@V]", help="Checks that are kept under another name or version.")
@click.option("--keep", is_flag=True, help="Keep the checks of --file or --suggest for this dataset.")
@click.option("--suggest", is_flag=True, help="Propose checks from this version, as one to go by; nothing is checked.")
@click.option("--target", default="", metavar="COLUMN", help="With --suggest: the label; else that of the last run.")
@click.option("--write", type=click.Path(path_type=Path), default=None, metavar="TOML", help="Write what is suggested.")
@click.option("--show", is_flag=True, help="Print the kept checks, or the latest report with --report.")
@click.option(
    "--kinds",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_kinds,
    help="Print every kind of check with its keys, and leave.",
)
@click.option("--report", is_flag=True, help="With --show: the latest report; nothing is run.")
@reason_option
@click.pass_obj
def check(
    invocation: Invocation,
    ref: str,
    file: Path | None,
    use: str,
    keep: bool,
    suggest: bool,
    target: str,
    write: Path | None,
    show: bool,
    report: bool,
    reason: str,
    key: str,
) -> int:
    """Run the checks of a version; exit 1 where one of severity fail fails.

    Without --file or --use those kept for the dataset. A version that fails cannot be trained on.
    """
    _together(file, use, keep, suggest, target, write, show, report)
    if suggest:
        return _suggest(invocation, ref, target, write, keep, reason, key)
    if show:
        return _show(invocation, ref, use, report)
    from console.cli.follow import ProgressLine
    from console.data.offloaded import check_offloaded

    if keep and file is not None:
        _keep(invocation, ref, file, reason, key)
        file = None
    with ProgressLine() as line:
        found = check_offloaded(
            invocation.backend,
            ref,
            invocation.mutation(reason, key),
            file=file.absolute() if file is not None else None,
            use=use,
            on_progress=line.follow,
        )
    if invocation.backend.features.read_only:
        narrate("the context is read-only: the report is not kept")
    return _answer(invocation, found)


def _together(
    file: Path | None, use: str, keep: bool, suggest: bool, target: str, write: Path | None, show: bool, report: bool
) -> None:
    if file is not None and use:
        raise click.UsageError("--file and --use are given; give one of them")
    if suggest and (file is not None or use or show):
        raise click.UsageError("--suggest makes checks; --file, --use and --show do not go with it")
    if (write is not None or target) and not suggest:
        raise click.UsageError("--write and --target go with --suggest")
    if keep and not suggest and file is None:
        raise click.UsageError("--keep wants the checks: --file TOML, or --suggest")
    if report and not show:
        raise click.UsageError("--report goes with --show")


def _keep(invocation: Invocation, ref: str, file: Path, reason: str, key: str) -> None:
    from console.data.checks.asked import keep_checks
    from console.data.checks.grammar import read_checks

    version = invocation.need("datasets").version(ref)
    mutation = invocation.mutation(reason, f"{key}:keep" if key else "")
    kept, fresh = keep_checks(invocation.backend, version.dataset, read_checks(file), mutation, str(file))
    narrate(f"kept as checks {kept.ref}" if fresh else f"checks {kept.ref} say this already")


def _suggest(
    invocation: Invocation, ref: str, target: str, write: Path | None, keep: bool, reason: str, key: str
) -> int:
    from console.cli.follow import ProgressLine
    from console.data.offloaded import suggest_offloaded

    version = invocation.need("datasets").version(ref)
    if write is not None and write.exists():
        raise click.UsageError(f"{write} exists already; nothing was written. Choose another name, or remove it")
    if not target:
        from console.data.checks.known_target import last_target

        target = last_target(invocation.backend, version)
    with ProgressLine() as line:
        text = suggest_offloaded(invocation.backend, version.ref, target=target, on_progress=line.follow)
    if write is not None:
        write.write_text(text, encoding="utf-8")
        narrate(
            f"written to {write}. Edit it, then: mlops-console dataset check {version.dataset} --file {write} --keep"
        )
    if keep:
        from console.data.checks.asked import keep_checks

        kept, _ = keep_checks(invocation.backend, version.dataset, text, invocation.mutation(reason, key), "suggestion")
        narrate(f"kept as checks {kept.ref}")
    if invocation.json or (write is None and not keep):
        invocation.show({"version": version.ref, "checks": text}, lambda: print_lines(text.rstrip("\n")))
    return Exit.DONE


def _show(invocation: Invocation, ref: str, use: str, report: bool) -> int:
    from console.data.checks.asked import kept_checks

    version = invocation.need("datasets").version(ref)
    if report:
        found = invocation.need("reports").latest("checks", version.ref)
        if found is None:
            raise click.UsageError(f"{version.ref} was not checked yet; mlops-console dataset check {version.ref}")
        return _answer(invocation, found)
    kept = kept_checks(invocation.backend, use or version.dataset)
    invocation.show(kept, lambda: print_lines(kept.text.rstrip("\n")))
    return Exit.DONE


def _answer(invocation: Invocation, found: Report) -> int:
    invocation.show(found, lambda: print_report(found))
    return Exit.FAILED if found.status is GateStatus.FAIL else Exit.DONE


def print_report(found: Report) -> None:
    """A line a check, what fails first; then rows that fail."""
    order = {GateStatus.FAIL: 0, GateStatus.WARN: 1, GateStatus.PASS: 2}
    results = sorted(found.results, key=lambda result: order[result.status])
    print_table(results, RESULT_COLUMNS)
    for result in results:
        if result.status is not GateStatus.PASS and (result.examples or result.note):
            gap()
            note = f" ({result.note})" if result.note else ""
            print_lines(f"{result.check}{note}")
            for example in result.examples:
                print_lines(f"  {example}")
    counts = {status: sum(1 for result in results if result.status is status) for status in order}
    words = [f"{count} {status.value}" for status, count in counts.items() if count]
    narrate(f"{found.subject}: {found.status.value}. {plural(len(results), 'check')}: {', '.join(words)}")
