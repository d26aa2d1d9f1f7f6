"""`mlops-console run start`, `run retry`: begin a run from a recipe or a command, and the same again."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from backends.entities import Run
from console.cli.agent_needed import ready_to_track, wake_agent
from console.cli.output import narrate, print_lines
from console.cli.run import print_run, run
from console.cli.verb import Invocation, Verb, key_values, reason_option
from console.training.find import find_run

override_option = click.option(
    "--override-checks", is_flag=True, help="Train although the data fail their checks; -m says why."
)


class _WithCommand(Verb):
    """Takes a command of any shape after `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta["command"] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return ["[OPTIONS]", "RECIPE.toml | -- COMMAND..."]


@run.command("start", cls=_WithCommand)
@click.argument("recipe", type=click.Path(path_type=Path), required=False)
@click.option("--name", default="", help="Name of the run; the recipe's or the script's without it.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key of the recipe.")
@click.option("--experiment", default="", help="The experiment that a command's run belongs to.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A tag of a command's run.")
@click.option("--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="Pass a variable to the command.")
@click.option("--cpu", type=click.FloatRange(0), default=None, help="Cores that it waits for.")
@click.option("--memory", default="", metavar="SIZE", help="Memory that it waits for, such as 4GB.")
@click.option("--gpu", type=click.IntRange(0), default=None, help="Graphics cards that it waits for, and is given.")
@click.option("--wait", is_flag=True, help="Stay until the run has ended; exit 1 unless it finished well.")
@override_option
@reason_option
@click.pass_context
def start(
    ctx: click.Context,
    recipe: Path | None,
    name: str,
    overrides: tuple[str, ...],
    experiment: str,
    tags: tuple[str, ...],
    variables: tuple[str, ...],
    cpu: float | None,
    memory: str,
    gpu: int | None,
    wait: bool,
    override_checks: bool,
    reason: str,
    key: str,
) -> None:
    """Start a run from RECIPE (TOML), or of any COMMAND after --. It goes on when you log out.

    A recipe names an estimator, or a command with typed parameters; --set lr=0.2 gives one another value:

    \b
        command = "python train.py --lr {lr}"
        [params.lr]
        default = 0.1
        [limits]
        minutes = 10
        [needs]
        memory = "4 GB"
        gpu = 1

    Either kind says after how many minutes without a word a run counts as stalled (stalled_after = 30; 15 without it, 0
    for never), and how many seconds lie between samples of machine, processes and graphics cards (system_metrics = 10;
    false for none; often at first, then less, without it).

    A command that logs with MLflow logs to its run: mlops-console run start -- python train.py --lr 0.1

    Any other reports by JSON lines on the descriptor whose number is in MLOPS_PROGRESS_FD, or not at all:

    \b
        echo '{"metrics": {"loss": 0.2}, "step": 3}' >&$MLOPS_PROGRESS_FD
        {"progress": 0.4, "stage": "epoch 4 of 10"}
        {"params": {"depth": 3}}    {"tags": {"team": "red"}}
        {"artifact": "model.bin"}   a file under its folder
        {"fail": "no rows"}         why it is about to fail
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None  # noqa: S101
    from console.training.needs import NeedsTable

    asked = NeedsTable(cpu=cpu or 0.0, memory=memory or 0, gpu=gpu or 0)
    command = ctx.meta.get("command")
    if command is not None:
        if recipe is not None or overrides or override_checks:
            raise click.UsageError(
                "a recipe and a command are given; give one of them (--set and --override-checks go with a recipe)"
            )
        from console.training.command import command_here, start_command

        ready_to_track(invocation)
        begun = start_command(
            invocation.backend,
            msgspec.structs.replace(command_here(command, variables), needs=asked.needs),
            invocation.mutation(reason, key),
            name=name,
            experiment=experiment or "default",
            tags=key_values(tags, "--tag"),
        )
        _answer(invocation, begun, wait)
        return
    if recipe is None:
        raise click.UsageError("a recipe is wanted, or a command: run start RECIPE.toml, or run start -- COMMAND")
    if experiment or tags or variables:
        raise click.UsageError("--experiment, --tag and --env go with a command; a recipe names its own")
    from console.cli.follow import ProgressLine
    from console.training.command_recipe import is_command
    from console.training.recipe import read_recipe
    from console.training.start import start_run

    text = read_recipe(recipe)
    changes = key_values(overrides, "--set")
    for need, given in (("cpu", cpu), ("memory", memory or None), ("gpu", gpu)):
        changes |= {} if given is None else {f"needs.{need}": str(given)}
    with ProgressLine() as line:
        started = start_run(
            invocation.backend,
            text,
            invocation.mutation(reason, key),
            name=name,
            overrides=changes,
            origin=str(recipe.absolute()),
            source=str(recipe),
            override_checks=override_checks,
            on_progress=line.follow,
        )
    ready_to_track(invocation) if is_command(text) else wake_agent(invocation)
    _answer(invocation, started, wait)


@run.command("retry")
@click.argument("run_id", metavar="RUN")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key of the recipe.")
@click.option("--wait", is_flag=True, help="Stay until the run has ended; exit 1 unless it finished well.")
@override_option
@reason_option
@click.pass_obj
def retry(
    invocation: Invocation,
    run_id: str,
    overrides: tuple[str, ...],
    wait: bool,
    override_checks: bool,
    reason: str,
    key: str,
) -> None:
    """Start the same again, as a new run."""
    from console.cli.follow import ProgressLine
    from console.training.command import command_of
    from console.training.start import retry_run

    found = find_run(invocation.need("runs"), run_id)
    with ProgressLine() as line:
        started = retry_run(
            invocation.backend,
            found.id,
            invocation.mutation(reason, key),
            key_values(overrides, "--set"),
            override_checks=override_checks,
            on_progress=line.follow,
        )
    ready_to_track(invocation) if command_of(invocation.backend, found) else wake_agent(invocation)
    _answer(invocation, started, wait)


def _answer(invocation: Invocation, started: Run, wait: bool) -> None:
    if not wait:
        invocation.show(started, lambda: _say_started(started))
        return
    from console.cli.follow import wait_for_run

    if not invocation.json:
        _say_started(started)
    ended = wait_for_run(invocation, started.id)
    invocation.show(ended, lambda: print_run(invocation, ended))
    if ended.status != "finished":
        from backends.contract import Refused

        raise Refused(f"run {ended.id[:8]} {ended.status}: {ended.reason or 'its log says why'}")


def _say_started(started: Run) -> None:
    print_lines(started.id)
    narrate(f"{started.name}: {started.status}. Follow it: mlops-console run logs {started.id[:8]} --follow")
