"""`mlops-console demo`: a living workspace on real data, then the console."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from backends.contract import Refused
from console.cli.output import narrate
from console.cli.verb import Invocation, Noun
from console.demo.place import DemoPlace, default_demo_workspace
from console.demo.steps import announce


@click.group("demo", cls=Noun, invoke_without_command=True)
@click.option("--fresh", is_flag=True, help="Throw the demo's workspace away and make it anew.")
@click.option("--no-tui", is_flag=True, help="Wait until it is made, say what there is, and leave; nothing is opened.")
@click.option(
    "--pace", default=1.0, show_default=True, type=click.FloatRange(0.0), help="Seconds between two days of flights."
)
@click.pass_context
def demo(ctx: click.Context, fresh: bool, no_tui: bool, pace: float) -> None:
    """A living workspace on real data: the flights from New York in 2013, one day a second.

    It is made in the background while the console is open; a second `demo` opens the same one again.
    """
    if ctx.invoked_subcommand is not None:
        return
    invocation = ctx.ensure_object(Invocation)
    place = _place(invocation)
    from console.demo.flights import require_flights

    require_flights()
    if fresh:
        _stop(place)
        place.remove()
    if not place.made and place.workspace.exists() and any(place.workspace.iterdir()):
        raise Refused(f"{place.workspace}: a workspace that is not the demo's; name another --workspace")
    _go_on(place, pace)
    if no_tui or invocation.json:
        _await(place)
        invocation.workspace = place.workspace
        _say(invocation, place)
        return
    _open_console(place)


@demo.command("stop")
@click.pass_obj
def stop(invocation: Invocation) -> None:
    """Stop the arriving days and the demo's agent; `demo` goes on from there."""
    place = _place(invocation)
    stopped = _stop(place)
    invocation.show(
        {"workspace": str(place.workspace), "stopped": stopped},
        lambda: narrate(f"{place.workspace}: stopped {', '.join(stopped)}" if stopped else "nothing of the demo runs"),
    )


def _place(invocation: Invocation) -> DemoPlace:
    chosen: Path = invocation.workspace or default_demo_workspace()
    return DemoPlace(chosen.expanduser().absolute())


def _go_on(place: DemoPlace, pace: float) -> None:
    """Start what is not at work: the making until it is made, then the days, as long as there are any."""
    from console.config import open_session

    place.make()
    # The store is made here, so that the console that opens next finds it.
    session = open_session(workspace=place.workspace)
    try:
        begins = not place.state().ready and place.holder("prepare") is None
        if begins:
            announce(session.backend.need("requests"), session.actor, "beginning")
    finally:
        session.backend.close()
    if not place.state().ready:
        if begins:
            from console.demo.place import DemoState

            place.say(DemoState(stage="beginning"))
            place.start("prepare", "--pace", str(pace))
        return
    from console.agent import ensure_agent

    ensure_agent(place.workspace)
    if place.days() and place.holder("feeder") is None:
        place.start("feeder", "--pace", str(pace))


def _stop(place: DemoPlace) -> list[str]:
    if not place.made:
        return []
    stopped = [role for role in ("prepare", "feeder") if place.stop(role)]
    from console.agent import agent_status, stop_agent

    if agent_status(place.workspace).running:
        stop_agent(place.workspace)
        stopped.append("agent")
    return stopped


def _await(place: DemoPlace) -> None:
    """Until the demo is made, with its steps on stderr; `Refused` with the reason when it could not be."""
    told = ""
    seen_at_work = time.monotonic()
    while True:
        state = place.state()
        if state.error:
            raise Refused(f"the demo could not be made, at “{state.stage}”: {state.error}")
        if state.stage != told and sys.stderr.isatty():
            narrate(state.stage)
        told = state.stage
        if state.ready:
            return
        if place.holder("prepare") is not None:
            seen_at_work = time.monotonic()
        elif time.monotonic() - seen_at_work > 10:
            raise Refused(f"the making of the demo ended at “{state.stage}” without a word; {place.log} may say why")
        time.sleep(0.2)


def _say(invocation: Invocation, place: DemoPlace) -> None:
    from console.demo.recipes import DATASET, EXPERIMENT, MODEL

    backend = invocation.backend
    model = backend.need("registry").get(MODEL)
    runs = backend.need("runs").page(limit=10)
    document: dict[str, Any] = {
        "workspace": str(place.workspace),
        "dataset": backend.need("datasets").version(DATASET).ref,
        "experiment": EXPERIMENT,
        "runs": [{"id": run.id, "name": run.name, "status": run.status, "metrics": run.metrics} for run in runs.items],
        "model": model.name,
        "aliases": model.aliases,
        "monitor": backend.need("monitors").get(MODEL).name,
        "days_to_come": len(place.days()),
        "feeder": place.holder("feeder"),
    }
    invocation.show(
        document,
        lambda: narrate(
            f"{place.workspace}: {model.name} champion v{model.aliases.get('champion', '?')}, "
            f"{document['days_to_come']} days to come. Open it: mlops-console demo"
        ),
    )


def _open_console(place: DemoPlace) -> None:
    """Become the console. Another program, not an import: the command line never loads the screen."""
    sys.stdout.flush()
    command = [sys.executable, "-m", "console.launch", "--workspace", str(place.workspace)]
    os.execv(sys.executable, command)  # noqa: S606
