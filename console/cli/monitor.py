"""`mlops-console monitor …`: compare what a model sees with what it was trained on."""

from __future__ import annotations

from pathlib import Path

import click

from backends.entities import Monitor
from console.cli.agent_needed import wake_agent
from console.cli.monitor_show import show, source_words
from console.cli.output import Col, narrate
from console.cli.verb import Invocation, Noun, key_values, listing, parsed_query, reason_option
from console.monitoring.feeds.batch_log import BatchRecord
from console.monitoring.wording import newest
from console.wording import local_time, plural, thousands


@click.group("monitor", cls=Noun)
def monitor() -> None:
    """Compare what a model sees with what it was trained on."""


monitor.add_command(show)

MONITOR_COLUMNS: list[Col[Monitor]] = [
    Col("name", lambda item: item.name),
    Col("state", lambda item: "paused" if item.paused else item.state, state=True),
    Col("model", lambda item: f"{item.model}@{item.alias}"),
    Col("windows", lambda item: thousands(item.windows), right=True),
    Col("rows", lambda item: thousands(item.rows), right=True),
    Col("newest", lambda item: local_time(newest(item))),
    Col("source", lambda item: item.source, widest=60),
    Col("note", lambda item: item.note),
]


@monitor.command("list")
@listing
@click.pass_obj
def list_(invocation: Invocation, query: tuple[str, ...], where: str, sort: str, limit: int, at: str) -> None:
    """Monitors. QUERY: state = firing"""
    from backends.query import MONITOR_FIELDS

    page = invocation.need("monitors").page(parsed_query(query, where, sort, MONITOR_FIELDS), at=at, limit=limit)
    invocation.show_page(
        page, MONITOR_COLUMNS, empty="no monitor yet; mlops-console monitor create NAME --model MODEL makes one"
    )


@monitor.command("create")
@click.argument("name")
@click.option("--model", "model_name", default="", metavar="MODEL", help="The registered model that scores.")
@click.option("--deployment", default="", metavar="NAME", help="Fed by the prediction log of this deployment.")
@click.option("--alias", default="champion", show_default=True, help="Which version scores, when a batch arrives.")
@click.option(
    "--source", type=click.Path(file_okay=False, path_type=Path), help="Folder that the agent watches for batches."
)
@click.option("--time", "time_column", default="", metavar="COLUMN", help="When each row happened.")
@click.option("--label", "label_column", default="", metavar="COLUMN", help="What truly happened, where it is known.")
@click.option("--id", "id_column", default="", metavar="COLUMN", help="What later labels are joined by.")
@click.option(
    "--group",
    "group_column",
    default="",
    metavar="COLUMN",
    help="The query a row answers: NDCG, MAP, MRR are measured.",
)
@click.option("--top", type=int, metavar="K", help="Ranks that they look at, with --group (10).")
@click.option(
    "--window",
    default="day",
    show_default=True,
    type=click.Choice(["minute", "hour", "day", "batch"]),
    help="Rows per window.",
)
@click.option("--policy", multiple=True, metavar="KEY=NUMBER", help="Alert policy, over config.toml's.")
@click.option(
    "--segment", "segments", multiple=True, metavar="NAME=CONDITION", help="Rows that are counted beside the whole."
)
@click.option("--protect", multiple=True, metavar="COLUMN", help="Groups whose answers are compared.")
@click.option("--redact", multiple=True, metavar="COLUMN", help="Kept in no sample of rows; more than one may be.")
@click.option("--note", default="", help="A note.")
@reason_option
@click.pass_obj
def create(
    invocation: Invocation,
    name: str,
    model_name: str,
    deployment: str,
    alias: str,
    source: Path | None,
    time_column: str,
    label_column: str,
    id_column: str,
    group_column: str,
    top: int | None,
    window: str,
    policy: tuple[str, ...],
    segments: tuple[str, ...],
    protect: tuple[str, ...],
    redact: tuple[str, ...],
    note: str,
    reason: str,
    key: str,
) -> None:
    """A standing comparison of what MODEL sees with what it was trained on."""
    if not model_name and not deployment:
        raise click.UsageError("name the model with --model, or what serves it with --deployment")
    from console.cli.monitor_segment import segments_of
    from console.monitoring.create import create_monitor

    made = create_monitor(
        invocation.backend,
        name,
        model_name,
        mutation=invocation.mutation(reason, key),
        alias=alias,
        source=str(source) if source is not None else "",
        time_column=time_column,
        label_column=label_column,
        id_column=id_column,
        window=window,
        policy={**invocation.session.policies.monitor, **numbers(policy)},
        note=note,
        segments=segments_of(segments),
        protected=protect,
        redact=redact,
        deployment=deployment,
        group_column=group_column,
        top=top,
    )
    _wake_agent(invocation, made)
    watched = f"mlops-console monitor ingest {made.name} FILE feeds it"
    if made.source or made.deployment:
        watched = f"watches {source_words(made)}"
    invocation.show(made, lambda: narrate(f"{made.name}: {made.model}@{made.alias}; {watched}"))


def _wake_agent(invocation: Invocation, found: Monitor) -> None:
    """The agent keeps the scorer of a watched folder."""
    if found.source or found.deployment:
        wake_agent(invocation)


def numbers(pairs: tuple[str, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in key_values(pairs, "policy").items():
        try:
            found[key] = float(value)
        except ValueError:
            raise click.UsageError(f"policy {key}={value}: wanted a number") from None
    return found


BATCH_COLUMNS: list[Col[BatchRecord]] = [
    Col("file", lambda item: item.file),
    Col("what", lambda item: item.state, state=True),
    Col("rows", lambda item: thousands(item.rows), right=True),
    Col("labels", lambda item: thousands(item.labelled), right=True),
    Col("left out", lambda item: thousands(item.left_out) if item.left_out else "", right=True),
    Col("windows", lambda item: item.windows, right=True),
    Col("version", lambda item: f"v{item.version}" if item.version else "", right=True),
    Col("odd", lambda item: item.reason, widest=90),
]


@monitor.command("ingest")
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def ingest(invocation: Invocation, name: str, files: tuple[Path, ...]) -> None:
    """Score and count batches: FILES with the model's columns. The same content counts once.

    FILE may be - for rows from a pipe, as JSON lines or as a CSV with a header.
    """
    _hand_in(invocation, name, files, labels=False)


@monitor.command("labels")
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def labels(invocation: Invocation, name: str, files: tuple[Path, ...]) -> None:
    """What truly happened: FILES with the monitor's id and label columns."""
    _hand_in(invocation, name, files, labels=True)


def _hand_in(invocation: Invocation, name: str, files: tuple[Path, ...], *, labels: bool) -> None:
    from backends.contract import Invalid
    from console.cli.follow import ProgressLine

    if files == (Path("-"),):
        from console.cli.monitor_pipe import pipe

        rows = pipe(invocation, name, labels=labels)
        invocation.show({"monitor": name, "rows": rows}, lambda: narrate(f"{name}: {plural(rows, 'row')}"))
        return
    from console.monitoring.feeds.offloaded import ingest_offloaded

    with ProgressLine() as line:
        records = ingest_offloaded(invocation.backend, name, files, labels=labels, on_progress=line.follow)
    invocation.show_items(records, BATCH_COLUMNS, empty="")
    failed = [record for record in records if record.state == "failed"]
    if failed:
        raise Invalid(f"{plural(len(failed), 'file')} could not be used; {failed[0].file}: {failed[0].reason}", "file")


@monitor.command("batches")
@click.argument("name")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.pass_obj
def batches(invocation: Invocation, name: str, limit: int) -> None:
    """What became of the files that arrived, newest first."""
    from console.monitoring.feeds.batch_log import recent_batches
    from console.monitoring.folder import monitor_folder

    found = invocation.need("monitors").get(name)
    records = recent_batches(monitor_folder(invocation.backend, found.name), limit)
    invocation.show_items(records, BATCH_COLUMNS, empty=f"nothing arrived for {found.name} yet")


@monitor.command("pause")
@click.argument("name")
@reason_option
@click.pass_obj
def pause(invocation: Invocation, name: str, reason: str, key: str) -> None:
    """Stop looking; what arrives meanwhile waits in its folder."""
    from console.monitoring.create import pause_monitor

    after = pause_monitor(invocation.backend, name, invocation.mutation(reason, key))
    invocation.show(after, lambda: narrate(f"{after.name}: paused"))


@monitor.command("resume")
@click.argument("name")
@reason_option
@click.pass_obj
def resume(invocation: Invocation, name: str, reason: str, key: str) -> None:
    """Look again, at what came meanwhile too."""
    from console.monitoring.create import resume_monitor

    after = resume_monitor(invocation.backend, name, invocation.mutation(reason, key))
    _wake_agent(invocation, after)
    invocation.show(after, lambda: narrate(f"{after.name}: looking"))


@monitor.command("note")
@click.argument("name")
@click.argument("text")
@reason_option
@click.pass_obj
def note(invocation: Invocation, name: str, text: str, reason: str, key: str) -> None:
    """Write a note on a monitor."""
    from console.monitoring.notes import note_monitor

    after = note_monitor(invocation.backend, name, text, invocation.mutation(reason, key))
    invocation.show(after, lambda: narrate(f"{after.name}: {after.note}"))


@monitor.command("delete")
@click.argument("name")
@click.option("--confirm", metavar="NAME", help="The name again: deleting cannot be undone.")
@reason_option
@click.pass_obj
def delete(invocation: Invocation, name: str, confirm: str | None, reason: str, key: str) -> None:
    """Delete a monitor with its windows, alerts and kept predictions."""
    from console.monitoring.create import delete_monitor

    found = invocation.need("monitors").get(name)
    invocation.confirm(found.name, confirm, deed=f"delete monitor {found.name}", production_only=False)
    delete_monitor(invocation.backend, found.name, invocation.mutation(reason, key))
    invocation.show({"deleted": found.name}, lambda: narrate(f"{found.name}: deleted"))


# The other verbs of the noun; they hang themselves on the group above.
from console.cli import monitor_chart as _chart  # noqa: E402, F401
from console.cli import monitor_compare as _compare  # noqa: E402, F401
from console.cli import monitor_policy as _policy  # noqa: E402, F401
from console.cli import monitor_retention as _retention  # noqa: E402, F401
from console.cli import monitor_segment as _segment  # noqa: E402, F401
from console.cli import monitor_together as _together  # noqa: E402, F401
from console.cli import monitor_why as _why  # noqa: E402, F401
