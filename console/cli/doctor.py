"""`mlops-console doctor`: check this machine, terminal and workspace, and say what to do."""

from __future__ import annotations

import click

from console.cli.exit import Exit
from console.cli.output import Col, narrate, print_json, print_table
from console.cli.verb import Invocation, Verb
from console.doctor import Finding, Health, examine

FINDING_COLUMNS: list[Col[Finding]] = [
    Col("", lambda item: item.health, state=True),
    Col("check", lambda item: item.check),
    Col("found", lambda item: item.said, widest=90),
]


@click.command("doctor", cls=Verb)
@click.pass_obj
def doctor(invocation: Invocation) -> int:
    """Check this machine, terminal and workspace, and say what to do; exit 1 where something fails."""
    findings = examine(invocation.context, invocation.workspace)
    failed = any(finding.health is Health.FAIL for finding in findings)
    if invocation.json:
        print_json({"healthy": not failed, "items": findings, "next": None})
    else:
        print_table(findings, FINDING_COLUMNS)
        for finding in findings:
            if finding.todo:
                narrate(f"{finding.health}  {finding.check}: {finding.todo}")
    return Exit.FAILED if failed else Exit.DONE
