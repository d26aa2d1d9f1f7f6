"""Looking into sweeps; pausing them, going on, stopping."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from backends.entities import Run
from console.safe import safe_text
from console.tui.actions.when import sweep_of
from console.tui.dialogs import Ask, Confirm, sentences

if TYPE_CHECKING:
    from console.config import Session
    from console.tui.here import Here

SWEEPS = "tags.console.sweep = '1'"


async def show_sweeps(here: Here) -> None:
    """The sweeps in the list of runs; the named one entered."""
    if not here.argument:
        here.app.show_pane("runs", SWEEPS)
        return
    from console.training.find import find_run
    from console.training.sweep.begin import sweep_state

    name = here.argument

    def find() -> Run:
        run = find_run(here.backend.need("runs"), name)
        sweep_state(here.backend, run)  # Invalid where it is none
        return run

    run = await here.app.look_up(find)
    here.app.show_pane("runs", SWEEPS)
    await here.app.idle(own="verb-go.sweeps")
    pane: Any = here.app.pane
    if pane is not None and hasattr(pane, "enter"):
        pane.enter(run)


def _view(here: Here) -> Any:
    return here.view


def next_plot(here: Here) -> None:
    _view(here).turn_plot(1)


def plot_before(here: Here) -> None:
    _view(here).turn_plot(-1)


def plot_alone(here: Here) -> None:
    _view(here).plot_alone()


def _of(here: Here) -> tuple[Run, Session]:
    sweep = sweep_of(here)
    assert sweep is not None, "or the action were not available"  # noqa: S101
    assert here.session is not None  # noqa: S101 the action needs a launcher, so there is a session
    return sweep, here.session


async def pause_or_resume(here: Here) -> None:
    from console.training.sweep.begin import pause_sweep, sweep_state
    from console.training.sweep.trials import PAUSED

    named, session = _of(here)
    sweep = await here.app.look_up(lambda: session.backend.need("runs").get(named.id))
    title = f"{safe_text(sweep.name, 40)} {sweep.id[:4]}"
    if sweep.status.ended or PAUSED in sweep.tags:
        trials = None
        if sweep.status.ended:
            state = await here.app.look_up(lambda: sweep_state(session.backend, sweep))
            more = max(state.plan.trials, len(state.trials) + (len(state.trials) >= state.plan.trials) * 10)
            said = await here.app.ask(Ask(f"Go on with {title}: trials in all", "trials", str(more)))
            if not said:
                return
            trials = _count(said)
        await _resume(here, sweep, session, trials)
        return
    text = "No further trial is begun; those that run go on. P goes on with it."
    yes = await here.app.ask(Confirm(f"Pause {title}", sentences(text), "pause", reason=True))
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    await here.app.carry_out(lambda: pause_sweep(session.backend, sweep, mutation))
    here.app.tell(f"{sweep.name} {sweep.id[:4]} is paused; P goes on")


def _count(said: str) -> int:
    try:
        return int(said)
    except ValueError:
        raise ValueError(f"{safe_text(said, 20)} is no number of trials; nothing was begun") from None


async def _resume(here: Here, sweep: Run, session: Session, trials: int | None) -> None:
    from console.training.sweep.begin import resume_sweep

    mutation = session.mutation("", uuid.uuid4().hex)

    def go_on() -> Run:
        run = resume_sweep(session.backend, sweep, mutation, trials=trials)
        ready(session)
        return run

    run = await here.app.carry_out(go_on)
    view = here.view
    if view is not None and getattr(view, "within", None) is not None and run.id != sweep.id:
        _view(here).enter(run)  # its trials are under the new run
    here.app.tell(f"{run.name} {run.id[:4]} goes on")


def ready(session: Session) -> None:
    """The agent that launches, and what commands log to."""
    if session.workspace is not None:
        from console.agent import ensure_tracking

        ensure_tracking(session.workspace)


async def stop_sweep(here: Here) -> None:
    from console.training.start import stop_run

    sweep, session = _of(here)
    text = "The trials that run are stopped too; what was found stays. P goes on with it later."
    yes = await here.app.ask(
        Confirm(f"Stop the sweep {safe_text(sweep.name, 40)} {sweep.id[:4]}", sentences(text), "stop", reason=True)
    )
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    stopped = await here.app.carry_out(lambda: stop_run(session.backend, sweep.id, mutation))
    here.app.tell(f"{sweep.name} {sweep.id[:4]} is {stopped.status}")
