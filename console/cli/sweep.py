"""`mlops-console sweep …`: search the parameters of a recipe."""

from __future__ import annotations

from pathlib import Path

import click

from backends.contract import Refused
from backends.entities import Run
from backends.query import Compare, Key, Query
from console.cli.agent_needed import ready_to_track
from console.cli.output import Col, gap, narrate, print_lines, print_record, print_table
from console.cli.verb import Invocation, Noun, key_values, reason_option
from console.training.find import find_run
from console.training.sweep.begin import SweepState, pause_sweep, resume_sweep, start_sweep, sweep_state
from console.training.sweep.telling import budget_text, counts_text, state_text
from console.training.sweep.trials import SWEEP, Trial
from console.wording import duration, number, since


@click.group("sweep", cls=Noun)
def sweep() -> None:
    """Search parameters: many runs of one recipe, the best found."""


SWEEP_COLUMNS: list[Col[Run]] = [
    Col("id", lambda item: item.id[:8]),
    Col("name", lambda item: item.name),
    Col("status", lambda item: item.status, state=True),
    Col("progress", lambda item: item.progress.stage if item.progress else "", widest=60),
    Col("age", lambda item: since(item.created_at), right=True),
    Col("by", lambda item: item.created_by),
]


@sweep.command("start")
@click.argument("recipe", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--trials", type=click.IntRange(1), help="Instead of the recipe's.")
@click.option(
    "--parallel",
    type=click.IntRange(1),
    help="How many trials at once, as far as there is room; without it one here, and on a cluster as many as fit.",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key of the recipe.")
@click.option("--name", default="", help="The sweep's name.")
@click.option("--wait", is_flag=True, help="Stay until it has ended; exit 1 unless it finished.")
@reason_option
@click.pass_obj
def start(
    invocation: Invocation,
    recipe: Path,
    trials: int | None,
    parallel: int | None,
    overrides: tuple[str, ...],
    name: str,
    wait: bool,
    reason: str,
    key: str,
) -> None:
    """Search the space of RECIPE's [sweep] table. Every trial is a run; the search survives this terminal.

    \b
        [sweep]
        trials = 40
        parallel = 2
        pruner = "median"
        [sweep.space.learning_rate]
        low = 0.01
        high = 0.3
        log = true

    Where nothing says how many trials run at once (parallel), it is one on this machine, and on a cluster as many as
    it has room for, up to 100, and of a sampler that learns (tpe) a quarter of the trials, or ten.

    A recipe of a command says which of the metrics that it logs counts: metric = "loss", direction = "minimize".
    """
    from console.training.recipe import read_recipe

    changes: dict[str, str] = key_values(overrides, "--set")
    changes |= {f"sweep.{k}": str(v) for k, v in (("trials", trials), ("parallel", parallel)) if v is not None}
    begun = start_sweep(
        invocation.backend,
        read_recipe(recipe),
        invocation.mutation(reason, key),
        overrides=changes,
        source=str(recipe),
        name=name,
        origin=str(recipe.absolute()),
    )
    ready_to_track(invocation)
    _answer(invocation, begun, wait)


def _answer(invocation: Invocation, begun: Run, wait: bool) -> None:
    if not wait:
        invocation.show(begun, lambda: _say_begun(begun))
        return
    from console.cli.follow import wait_for_run

    if not invocation.json:
        _say_begun(begun)
    ended = wait_for_run(invocation, begun.id)
    state = sweep_state(invocation.backend, ended)
    invocation.show(state, lambda: print_sweep(state))
    if ended.status != "finished":
        raise Refused(f"sweep {ended.id[:8]} {ended.status}: {ended.reason or 'its log says why'}")


def _say_begun(begun: Run) -> None:
    print_lines(begun.id)
    narrate(f"{begun.name}: {begun.status}. Look at it: mlops-console sweep show {begun.id[:8]}")


@sweep.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.option("--at", default="", metavar="CURSOR", help="Go on from what an earlier list gave as next.")
@click.pass_obj
def list_(invocation: Invocation, limit: int, at: str) -> None:
    """Sweeps, newest first."""
    query = Query(where=Compare(Key("tag", SWEEP), "=", "1"))
    page = invocation.need("runs").page(query, at=at, limit=limit)
    invocation.show_page(page, SWEEP_COLUMNS, empty="no sweep yet; mlops-console sweep start RECIPE begins one")


@sweep.command("show")
@click.argument("run_id", metavar="SWEEP")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Trials at most.")
@click.option("--importance", is_flag=True, help="Which parameters mattered; takes some seconds.")
@click.option("--chart", is_flag=True, help="Plots: history, importance, parallel coordinates, a slice each parameter.")
@click.pass_obj
def show(invocation: Invocation, run_id: str, limit: int, importance: bool, chart: bool) -> None:
    """What a sweep tried, the best first."""
    from console.training.sweep.importance import importance_offloaded

    state = sweep_state(invocation.backend, find_run(invocation.need("runs"), run_id))
    drawn = chart and not invocation.json
    shares = importance_offloaded(state) if importance or drawn else {}
    document = {"sweep": state, **({"importance": shares} if importance else {})}

    def human() -> None:
        print_sweep(state, limit)
        if drawn:
            from console.cli.sweep_plots import print_plots

            print_plots(state, shares)
        elif importance:
            gap()
            pairs = list(shares.items())
            columns: list[Col[tuple[str, float]]] = [
                Col("parameter", lambda pair: pair[0]),
                Col("importance", lambda pair: f"{pair[1]:.0%}", right=True),
            ]
            print_table(pairs, columns, empty="importance needs ten finished trials with different results")

    invocation.show(document if importance else state, human)


@sweep.command("stop")
@click.argument("run_id", metavar="SWEEP")
@reason_option
@click.pass_obj
def stop(invocation: Invocation, run_id: str, reason: str, key: str) -> None:
    """End a sweep and the trials that run; what was found stays."""
    from console.training.start import stop_run

    found = find_run(invocation.need("runs"), run_id)
    ended = stop_run(invocation.backend, found.id, invocation.mutation(reason, key))
    invocation.show(ended, lambda: narrate(f"{ended.name}: {ended.status}"))


@sweep.command("pause")
@click.argument("run_id", metavar="SWEEP")
@reason_option
@click.pass_obj
def pause(invocation: Invocation, run_id: str, reason: str, key: str) -> None:
    """Begin no further trial; those that run go on."""
    found = find_run(invocation.need("runs"), run_id)
    paused = pause_sweep(invocation.backend, found, invocation.mutation(reason, key))
    invocation.show(paused, lambda: narrate(f"{paused.name}: paused; go on with: sweep resume {paused.id[:8]}"))


@sweep.command("resume")
@click.argument("run_id", metavar="SWEEP")
@click.option("--trials", type=click.IntRange(1), help="A larger budget, for one that has spent its own.")
@click.option("--wait", is_flag=True, help="Stay until it has ended; exit 1 unless it finished.")
@reason_option
@click.pass_obj
def resume(invocation: Invocation, run_id: str, trials: int | None, wait: bool, reason: str, key: str) -> None:
    """Go on with a sweep that is paused, was stopped, or whose process was killed."""
    found = find_run(invocation.need("runs"), run_id)
    begun = resume_sweep(invocation.backend, found, invocation.mutation(reason, key), trials=trials)
    ready_to_track(invocation)
    _answer(invocation, begun, wait)


def print_sweep(state: SweepState, limit: int = 20) -> None:
    """The sweep, then its trials, the best first."""
    run, best = state.run, state.best
    print_record(
        {
            "sweep": f"{run.name} {run.id[:8]}",
            "status": state_text(state),
            "left": "" if run.status.ended else budget_text(state),
            "without a result": counts_text(state),
            "best": f"{state.primary} {number(best.value, 6)} in trial {best.number}, run {best.run[:8]}"
            if best
            else "",
            "searched": f"{state.plan.sampler} over {', '.join(state.plan.space)}",
        }
    )
    gap()
    columns: list[Col[Trial]] = [
        Col("trial", lambda item: item.number, right=True),
        Col("run", lambda item: item.run[:8]),
        Col("status", lambda item: "pruned" if item.pruned else item.status, state=True),
        Col(state.primary, lambda item: number(item.value, 6), right=True),
        *(_param(name) for name in state.plan.space),
        Col("took", lambda item: duration(item.seconds) if item.seconds is not None else "", right=True),
    ]
    print_table(state.trials[:limit], columns, empty="no trial yet")
    if len(state.trials) > limit:
        narrate(f"{len(state.trials) - limit} more: --limit")


def _param(name: str) -> Col[Trial]:
    def cell(trial: Trial) -> object:
        value = trial.params.get(name)
        return number(value) if isinstance(value, float) else value

    return Col(name, cell, right=True)
