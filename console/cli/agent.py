"""`mlops-console agent …`: the background process of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from console.cli.output import narrate, print_json, print_lines, print_record
from console.cli.verb import Invocation, Noun
from console.wording import ago, plural

if TYPE_CHECKING:
    from console.agent import AgentStatus


@click.group("agent", cls=Noun)
def agent() -> None:
    """The background process of a workspace: runs what is queued, scores what monitors watch."""


@agent.command("start")
@click.pass_obj
def start(invocation: Invocation) -> None:
    """Start the agent if it does not run."""
    from console.agent import ensure_agent

    _say(invocation, ensure_agent(invocation.home()))


@agent.command("status")
@click.pass_context
def status(ctx: click.Context) -> int:
    """Whether the agent runs; exit 1 if not."""
    from console.agent import agent_status
    from console.cli.exit import Exit

    invocation = ctx.find_object(Invocation)
    assert invocation is not None  # noqa: S101
    found = agent_status(invocation.home())
    _say(invocation, found)
    return Exit.DONE if found.running else Exit.FAILED


@agent.command("stop")
@click.pass_obj
def stop(invocation: Invocation) -> None:
    """Stop the agent. Runs that it started go on; what is queued waits."""
    from console.agent import agent_status, stop_agent

    stop_agent(invocation.home())
    _say(invocation, agent_status(invocation.home()))


@agent.command("token")
@click.pass_obj
def token(invocation: Invocation) -> None:
    """The token for the agent's address: MLflow clients and POST /monitors/NAME/rows want it. Whoever has it may write
    to the workspace."""
    from backends.local.protocol_access import token_for

    found = token_for(invocation.home())
    if invocation.json:
        print_json({"token": found})
    else:
        print_lines(found)


@agent.command("logs")
@click.pass_obj
def logs(invocation: Invocation) -> None:
    """What the agent wrote."""
    from console.agent import agent_log

    text = agent_log(invocation.home())
    if invocation.json:
        print_json({"text": text})
    elif text:
        print_lines(text.removesuffix("\n"))
    else:
        narrate("the agent wrote nothing yet")


def _say(invocation: Invocation, found: AgentStatus) -> None:
    def human() -> None:
        if not found.running:
            narrate("the agent does not run; mlops-console agent start starts it")
            return
        print_record(
            {
                "agent": "running",
                "pid": found.pid,
                "since": ago(found.since),
                "version": found.version,
                "work": f"{plural(found.runs, 'run')} running of {found.slots} at most, {found.queued} queued",
                "MLflow protocol": found.serves,
                "rows for monitors": f"{found.serves}/monitors/NAME/rows" if found.serves else "",
                "note": found.note,
            }
        )

    invocation.show(found, human)
