"""`mlops-console run …`: start, follow, compare and stop training runs."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from backends.entities import MetricBucket, Run
from backends.system_metrics import is_system
from console.cli.output import Col, gap, narrate, print_json, print_lines, print_record, print_table
from console.cli.verb import Invocation, Noun, Verb, key_values, listing, parsed_query, reason_option
from console.training.find import find_run
from console.training.flags import flags, with_flags
from console.training.measured import headline, in_order, taken
from console.wording import age, duration, local_time, number, since, size


@click.group("run", cls=Noun)
def run() -> None:
    """Start, follow, compare and stop training runs."""


def _headline(item: Run) -> str:
    """The one metric that a narrow list shows."""
    name = headline(item)
    return f"{name} {number(item.metrics[name])}" if name else ""


def _flags(item: Run) -> str:
    return ", ".join(each.flag for each in flags(item))


def _took(item: Run) -> str:
    if item.started_at is None:
        return ""
    if item.ended_at is None:
        return age(item.started_at)
    return duration((item.ended_at - item.started_at) / 1000)


RUN_COLUMNS: list[Col[Run]] = [
    Col("id", lambda item: item.id[:8]),
    Col("name", lambda item: item.name),
    Col("status", lambda item: item.status, state=True),
    Col("age", lambda item: since(item.created_at), right=True),
    Col("metric", _headline),
    Col("flags", _flags),
    Col("took", _took, right=True),
    Col("data", lambda item: " ".join(dict.fromkeys(f"{found.dataset}@{found.version}" for found in item.inputs))),
    Col("experiment", lambda item: item.experiment),
    Col("by", lambda item: item.created_by),
    Col("reason", lambda item: item.reason, widest=60),
]


@run.command("list")
@listing
@click.option("--deleted", is_flag=True, help="Deleted runs instead.")
@click.pass_obj
def list_(
    invocation: Invocation, query: tuple[str, ...], where: str, sort: str, limit: int, at: str, deleted: bool
) -> None:
    """Runs, newest first. QUERY: status = failed and metrics.auc > 0.7"""
    from backends.query import RUN_FIELDS

    asked = parsed_query(query, where, sort, RUN_FIELDS)
    page = invocation.need("runs").page(asked, at=at, limit=limit, deleted=deleted)
    if invocation.json:
        page = msgspec.structs.replace(page, items=tuple(map(with_flags, page.items)))
    empty = "no run matches" if asked.where else "no runs yet; mlops-console run start RECIPE.toml starts one"
    invocation.show_page(page, RUN_COLUMNS, empty=empty)


@run.command("show")
@click.argument("run_id", metavar="RUN")
@click.option("--watch", is_flag=True, help="Say it again whenever it changes, until the run ends.")
@click.pass_obj
def show(invocation: Invocation, run_id: str, watch: bool) -> None:
    """Everything that is known of a run."""
    if watch:
        from console.cli.follow import watch_run

        watch_run(invocation, run_id)
        return
    found = find_run(invocation.need("runs"), run_id)
    invocation.show(with_flags(found), lambda: _print_run(invocation, found))


def _print_run(invocation: Invocation, found: Run) -> None:
    print_record(
        {
            "id": found.id,
            "name": found.name,
            "experiment": found.experiment,
            "status": found.status,
            **{str(each.flag): each.text for each in flags(found)},
            "reason": found.reason,
            "by": found.created_by,
            "created": local_time(found.created_at),
            "started": local_time(found.started_at),
            "ended": local_time(found.ended_at),
            "took": _took(found),
            **dict(taken(found)),
            "exit code": found.exit_code,
            "parent": found.parent,
            "data": ", ".join(f"{item.dataset}@{item.version} {item.digest[:12]}" for item in found.inputs),
            "commit": f"{found.source.commit[:12]}{' (changed)' if found.source.dirty else ''}"
            if found.source.commit
            else "",
            "note": found.note,
            **_disk(invocation, found),
        }
    )
    names = in_order(found)
    for title, values in (
        ("metrics", [(name, found.metrics[name]) for name in names if not is_system(name)]),
        ("params", sorted(found.params.items())), ("tags", sorted(found.tags.items())),
        ("system", [(name, found.metrics[name]) for name in names if is_system(name)]),
    ):  # fmt: skip
        if values:
            gap()
            print_table(
                values,
                [
                    Col(title, lambda pair: pair[0]),
                    Col("value", lambda pair: number(pair[1], 6) if isinstance(pair[1], float) else pair[1], widest=80),
                ],
            )
    if invocation.backend.artifacts is not None:
        files = invocation.backend.artifacts.list(found.id)
        if files:
            gap()
            print_table(
                files,
                [
                    Col("artifact", lambda item: item.path, widest=60),
                    Col("size", lambda item: size(item.bytes), right=True),
                    Col("sha256", lambda item: item.sha256[:12]),
                ],
            )


def _disk(invocation: Invocation, found: Run) -> dict[str, str]:
    """What it takes on the disk, and what of it was removed."""
    from backends.entities.holdings import ARTIFACTS_GONE, LOG_GONE

    said = {}
    if invocation.backend.retention is not None:
        room = invocation.backend.retention.room(found.id)
        if room is not None and room.bytes:
            shared = f", {size(room.shared)} of it shared with others" if room.shared else ""
            said["on disk"] = f"{size(room.bytes)}{shared}"
    for name, tag in (("artifacts", ARTIFACTS_GONE), ("log", LOG_GONE)):
        if tag in found.tags:
            said[name] = f"removed {found.tags[tag]}"
    return said


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


@run.command("stop")
@click.argument("run_id", metavar="RUN")
@reason_option
@click.pass_obj
def stop(invocation: Invocation, run_id: str, reason: str, key: str) -> None:
    """Ask a run to end, with its whole process tree."""
    from console.training.start import stop_run

    found = find_run(invocation.need("runs"), run_id)
    after = stop_run(invocation.backend, found.id, invocation.mutation(reason, key))
    invocation.show(after, lambda: narrate(f"{after.name} {after.id[:8]}: {after.status}"))


@run.command("metrics")
@click.argument("run_id", metavar="RUN")
@click.argument("key", required=False)
@click.option("--buckets", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Points at most.")
@click.option("--chart", is_flag=True, help="Draw the course of KEY as text.")
@click.pass_obj
def metrics(invocation: Invocation, run_id: str, key: str | None, buckets: int, chart: bool) -> None:
    """The latest metrics of a run, or the course of one KEY."""
    if chart and key is None:
        raise click.UsageError("--chart draws the course of one metric: name its KEY")
    runs = invocation.need("runs")
    found = find_run(runs, run_id)
    if key is None:
        invocation.show(
            found.metrics,
            lambda: print_table(
                [(name, found.metrics[name]) for name in in_order(found)],
                [Col("metric", lambda pair: pair[0]), Col("value", lambda pair: number(pair[1], 6), right=True)],
                empty="no metrics yet",
            ),
        )
        return
    if key not in found.metrics:
        from backends.contract import NotFound
        from console.config import nearest

        raise NotFound(f"run {found.id[:8]} has no metric {key}{nearest(key, found.metrics)}")
    series = runs.series(found.id, key, buckets=buckets)
    columns: list[Col[MetricBucket]] = [
        Col("step", lambda item: item.last_step, right=True),
        Col(key, lambda item: number(item.last, 6), right=True),
        Col("low", lambda item: number(item.low, 6), right=True),
        Col("high", lambda item: number(item.high, 6), right=True),
        Col("points", lambda item: item.count, right=True),
    ]
    if chart and not invocation.json:
        from console.cli.chart_text import print_chart

        print_chart([(f"{found.name} {key}", series)])
        return
    invocation.show(series, lambda: print_table(series.buckets, columns))


@run.command("delete")
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@reason_option
@click.pass_obj
def delete(invocation: Invocation, run_ids: tuple[str, ...], reason: str, key: str) -> None:
    """Put runs out of sight; restore brings them back, until run purge or a policy removes them for good."""
    _each(invocation, run_ids, reason, key, "delete", "deleted")


@run.command("restore")
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@reason_option
@click.pass_obj
def restore(invocation: Invocation, run_ids: tuple[str, ...], reason: str, key: str) -> None:
    """Bring deleted runs back."""
    _each(invocation, run_ids, reason, key, "restore", "restored")


def _each(invocation: Invocation, run_ids: tuple[str, ...], reason: str, key: str, verb: str, done: str) -> None:
    runs = invocation.need("runs")
    found = [find_run(runs, run_id) for run_id in run_ids]  # all are there before the first is changed
    for index, item in enumerate(found):
        getattr(runs, verb)(item.id, invocation.mutation(reason, f"{key}.{index}" if key else ""))
    after = [runs.get(item.id) for item in found]
    if invocation.json:
        print_json({"items": after, "next": None})
        return
    for item in after:
        narrate(f"{item.name} {item.id[:8]}: {done}")


@run.command("note")
@click.argument("run_id", metavar="RUN")
@click.argument("text")
@reason_option
@click.pass_obj
def note(invocation: Invocation, run_id: str, text: str, reason: str, key: str) -> None:
    """Write a note on a run."""
    runs = invocation.need("runs")
    found = find_run(runs, run_id)
    runs.set_note(found.id, text, invocation.mutation(reason, key))
    after = runs.get(found.id)
    invocation.show(after, lambda: narrate(f"{after.name} {after.id[:8]}: {after.note}"))


@run.command("rename")
@click.argument("run_id", metavar="RUN")
@click.argument("name")
@reason_option
@click.pass_obj
def rename(invocation: Invocation, run_id: str, name: str, reason: str, key: str) -> None:
    """Give a run another name."""
    runs = invocation.need("runs")
    found = find_run(runs, run_id)
    runs.rename(found.id, name, invocation.mutation(reason, key))
    after = runs.get(found.id)
    invocation.show(after, lambda: narrate(f"{after.id[:8]}: {after.name}"))


@run.command("tag")
@click.argument("run_id", metavar="RUN")
@click.argument("tags", metavar="NAME=VALUE|NAME-...", nargs=-1, required=True)
@reason_option
@click.pass_obj
def tag(invocation: Invocation, run_id: str, tags: tuple[str, ...], reason: str, key: str) -> None:
    """Set tags of a run (NAME=VALUE), or take them away (NAME-)."""
    runs = invocation.need("runs")
    found = find_run(runs, run_id)
    gone = {word[:-1]: None for word in tags if "=" not in word and word.endswith("-")}
    given = key_values(tuple(word for word in tags if word[:-1] not in gone or "=" in word), "tag")
    runs.set_tags(found.id, {**gone, **given}, invocation.mutation(reason, key))
    after = runs.get(found.id)
    invocation.show(after, lambda: narrate(f"{after.name} {after.id[:8]}: tagged"))


@run.command("export")
@click.argument("run_id", metavar="RUN")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.pass_obj
def export(invocation: Invocation, run_id: str, directory: Path) -> None:
    """Copy a run's record, log and artifacts into DIRECTORY (made; not there yet)."""
    from console.training.export import export_run

    written = export_run(invocation.backend, find_run(invocation.need("runs"), run_id).id, directory)
    invocation.show(
        {"directory": str(directory.absolute()), "files": written},
        lambda: print_lines("\n".join(str(directory / name) for name in written)),
    )


@run.command("compare")
@click.argument("run_ids", metavar="RUN RUN...", nargs=-1, required=True)
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all of them.")
@click.option("--baseline", metavar="RUN", default="", help="Hold the others against this one; else against the first.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "json", "md", "markdown"]),
    default="text",
    help="Text shows differences.",
)
@click.pass_obj
def compare(invocation: Invocation, run_ids: tuple[str, ...], everything: bool, baseline: str, form: str) -> None:
    """What differs between runs: parameters, data, code, metrics. csv, json and md have every row."""
    if len(run_ids) < 2:
        raise click.UsageError("compare wants at least two runs")
    from console.cli.comparison import print_comparison
    from console.training.changed_code import changes_of
    from console.training.compare import compare as compare_runs

    runs = invocation.need("runs")
    found = [find_run(runs, run_id) for run_id in run_ids]
    held = [item.id for item in found].index(_held(found, find_run(runs, baseline))) if baseline else 0
    compared = compare_runs(found, baseline=held, changes=changes_of(invocation.backend, found))
    if form != "text":
        from console.training.comparison_text import comparison_text

        click.echo(comparison_text(compared, "md" if form == "markdown" else form), nl=False)
        return
    invocation.show(compared, lambda: print_comparison(compared, everything=everything))


def _held(found: list[Run], chosen: Run) -> str:
    if chosen.id not in [item.id for item in found]:
        raise click.UsageError(f"--baseline {chosen.id[:8]} is none of the runs compared; name it among them")
    return chosen.id


def wake_agent(invocation: Invocation) -> None:
    """The agent takes what is queued. It is needed where the embedded store runs things, and nowhere else."""
    if invocation.session.workspace is None:
        return
    from console.agent import ensure_agent

    ensure_agent(invocation.session.workspace)


def ready_to_track(invocation: Invocation) -> None:
    """The agent runs, and serves the protocol where it is what commands log to."""
    from console.agent import ensure_tracking

    ensure_tracking(invocation.home())


def _answer(invocation: Invocation, started: Run, wait: bool) -> None:
    if not wait:
        invocation.show(started, lambda: _say_started(started))
        return
    from console.cli.follow import wait_for_run

    if not invocation.json:
        _say_started(started)
    ended = wait_for_run(invocation, started.id)
    invocation.show(ended, lambda: _print_run(invocation, ended))
    if ended.status != "finished":
        from backends.contract import Refused

        raise Refused(f"run {ended.id[:8]} {ended.status}: {ended.reason or 'its log says why'}")


def _say_started(started: Run) -> None:
    print_lines(started.id)
    narrate(f"{started.name}: {started.status}. Follow it: mlops-console run logs {started.id[:8]} --follow")


# The noun's further verbs, which are written on it.
from console.cli import run_audit as _audit  # noqa: E402, F401
from console.cli import run_files as _files  # noqa: E402, F401
from console.cli import run_purge as _purge  # noqa: E402, F401
from console.cli import run_queue as _queue  # noqa: E402, F401
from console.cli import run_reproduce as _reproduce  # noqa: E402, F401
