"""`mlops-console run list`, `show`, `stop`, `metrics`, `export`, `compare`: what is read; the rest stands beside."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from backends.entities import MetricBucket, Run
from backends.system_metrics import is_system
from console.cli.output import Col, gap, narrate, print_lines, print_record, print_table
from console.cli.verb import Invocation, Noun, listing, parsed_query, reason_option
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
    invocation.show(with_flags(found), lambda: print_run(invocation, found))


def print_run(invocation: Invocation, found: Run) -> None:
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


# The noun's further verbs, which are written on it.
from console.cli import run_audit as _audit  # noqa: E402, F401
from console.cli import run_change as _change  # noqa: E402, F401
from console.cli import run_files as _files  # noqa: E402, F401
from console.cli import run_purge as _purge  # noqa: E402, F401
from console.cli import run_queue as _queue  # noqa: E402, F401
from console.cli import run_reproduce as _reproduce  # noqa: E402, F401
from console.cli import run_start as _start  # noqa: E402, F401
