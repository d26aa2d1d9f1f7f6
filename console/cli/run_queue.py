"""`mlops-console run queue`: what waits and why, its order, and the pause of it all."""

from __future__ import annotations

import click

from backends.entities import RunQueue, WaitingRun
from console.cli.agent_needed import wake_agent
from console.cli.output import Col, narrate, print_table
from console.cli.run import run
from console.cli.verb import Invocation, reason_option
from console.cluster import queue_words
from console.training.find import find_run
from console.wording import local_time, since


@run.command("queue")
@click.option("--pause", is_flag=True, help="Begin nothing further; what runs goes on. It outlasts a reboot.")
@click.option("--resume", is_flag=True, help="Begin what waits again.")
@reason_option
@click.pass_obj
def queue(invocation: Invocation, pause: bool, resume: bool, reason: str, key: str) -> None:
    """What waits to be run, in the order in which it will begin, and why it waits."""
    if pause and resume:
        raise click.UsageError("--pause and --resume are given; give one of them")
    launcher = invocation.need("launcher")
    if pause:
        launcher.pause(invocation.mutation(reason, key))
    if resume:
        launcher.resume(invocation.mutation(reason, key))
        wake_agent(invocation)
    found = launcher.queue()
    invocation.show(found, lambda: _print(invocation, found))


def _print(invocation: Invocation, found: RunQueue) -> None:
    runs = invocation.need("runs")

    def name(item: WaitingRun) -> str:
        return str(runs.get(item.run).name)

    if found.paused is not None:
        why = f": {found.paused.reason}" if found.paused.reason else ""
        narrate(f"paused by {found.paused.actor} at {local_time(found.paused.at)}{why}; go on with: run queue --resume")
    narrate(queue_words(invocation.backend, found))
    if found.taken:
        narrate(found.taken)
    for why in sorted(set(found.unheard.values())):
        count = sum(each == why for each in found.unheard.values())
        narrate(f"nothing is heard of {count} of those that run, which stand as they were: {why}")
    columns: list[Col[WaitingRun]] = [
        Col("id", lambda item: item.run[:8]),
        Col("name", name),
        Col("priority", lambda item: item.priority, right=True),
        Col("waits", lambda item: since(item.since), right=True),
        Col("by", lambda item: item.by),
        Col("why", lambda item: item.why, widest=80),
    ]
    print_table(found.waiting, columns, empty="nothing waits")


@run.command("priority", context_settings={"ignore_unknown_options": True})
@click.argument("run_id", metavar="RUN")
@click.argument("priority", type=int)
@reason_option
@click.pass_obj
def priority(invocation: Invocation, run_id: str, priority: int, reason: str, key: str) -> None:
    """Move a waiting run: the higher PRIORITY begins first; a run has 0 by itself."""
    launcher = invocation.need("launcher")
    one = find_run(invocation.need("runs"), run_id)
    launcher.prioritise(one.id, priority, invocation.mutation(reason, key))
    found = launcher.queue()
    invocation.show(found, lambda: _print(invocation, found))
