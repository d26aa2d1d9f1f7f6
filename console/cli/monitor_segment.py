"""`mlops-console monitor segment|protect|bias`: parts of the rows, and groups that are answered differently."""

from __future__ import annotations

import click

from backends.entities import Estimate, Millis, Segment
from console.cli.monitor import monitor
from console.cli.output import Col, gap, narrate, print_table
from console.cli.verb import Invocation, Noun, key_values, reason_option
from console.monitoring.counted.segment_standing import SegmentStanding, segments_standing
from console.monitoring.quality.bias import GroupRates
from console.wording import local_time, number, plural, thousands

COMMAND = "mlops-console monitor segment add NAME SEGMENT 'column = value'"


@monitor.group("segment", cls=Noun)
def segment() -> None:
    """Parts of the rows that are counted beside the whole."""


SEGMENT_COLUMNS: list[Col[SegmentStanding]] = [
    Col("segment", lambda item: item.name),
    Col("where", lambda item: item.where, widest=60),
    Col("state", lambda item: item.state, state=True),
    Col("windows", lambda item: thousands(item.windows), right=True),
    Col("rows", lambda item: thousands(item.rows), right=True),
    Col("labels", lambda item: thousands(item.labelled), right=True),
    Col("newest", lambda item: "  ".join(f"{key} {number(found.value)}" for key, found in item.performance.items())),
]


@segment.command("add")
@click.argument("name")
@click.argument("segment_name", metavar="SEGMENT")
@click.argument("where", metavar="CONDITION")
@reason_option
@click.pass_obj
def add(invocation: Invocation, name: str, segment_name: str, where: str, reason: str, key: str) -> None:
    """Count the rows where CONDITION holds, from the next batch on: 'origin = JFK and distance > 500'"""
    from console.monitoring.counted.segments import add_segment

    after = add_segment(
        invocation.backend, name, Segment(name=segment_name, where=where), invocation.mutation(reason, key)
    )
    invocation.show(after, lambda: narrate(f"{after.name}: counts {segment_name} from the next batch on"))


@segment.command("remove")
@click.argument("name")
@click.argument("segment_name", metavar="SEGMENT")
@reason_option
@click.pass_obj
def remove(invocation: Invocation, name: str, segment_name: str, reason: str, key: str) -> None:
    """Count it no longer; its windows stay."""
    from console.monitoring.counted.segments import remove_segment

    after = remove_segment(invocation.backend, name, segment_name, invocation.mutation(reason, key))
    invocation.show(after, lambda: narrate(f"{after.name}: counts {segment_name} no longer; its windows stay"))


@segment.command("list")
@click.argument("name")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 100_000), help="Newest windows.")
@click.pass_obj
def list_(invocation: Invocation, name: str, limit: int) -> None:
    """The segments of a monitor, and how each stands."""
    store = invocation.need("monitors")
    found = store.get(name)
    lines = segments_standing(invocation.backend, found, limit=limit)
    invocation.show_items(lines, SEGMENT_COLUMNS, empty=f"{found.name} has no segment yet; {COMMAND} makes one")


@monitor.command("protect")
@click.argument("name")
@click.argument("columns", nargs=-1, metavar="COLUMN...")
@reason_option
@click.pass_obj
def protect(invocation: Invocation, name: str, columns: tuple[str, ...], reason: str, key: str) -> None:
    """Compare the answers between the groups of these COLUMNS, in place of those before; none compares none."""
    from console.monitoring.counted.segments import protect_columns

    after = protect_columns(invocation.backend, name, columns, invocation.mutation(reason, key))
    said = f"compares the groups of {', '.join(after.protected)}" if after.protected else "compares no groups"
    invocation.show(after, lambda: narrate(f"{after.name}: {said} from the next batch on"))


class BiasLine(Estimate, frozen=True, kw_only=True):
    """One measure of one window."""

    start: Millis
    measure: str


BIAS_COLUMNS: list[Col[BiasLine]] = [
    Col("window", lambda item: local_time(item.start)),
    Col("measure", lambda item: item.measure.replace("_", " "), widest=60),
    Col("value", lambda item: number(item.value, 3), right=True),
    Col("95 %", lambda item: "" if item.low is None else f"{number(item.low, 3)} to {number(item.high, 3)}"),
    Col("rows", lambda item: thousands(item.n), right=True),
]
GROUP_COLUMNS: list[Col[GroupRates]] = [
    Col("column", lambda item: item.column),
    Col("group", lambda item: item.group),
    Col("rows", lambda item: thousands(item.rows), right=True),
    Col("labels", lambda item: thousands(item.labelled), right=True),
    Col("selected", lambda item: number(item.selection_rate, 3), right=True),
    Col("true positives", lambda item: number(item.true_positive_rate, 3), right=True),
    Col("false positives", lambda item: number(item.false_positive_rate, 3), right=True),
    Col("accuracy", lambda item: number(item.accuracy, 3), right=True),
    Col("compared", lambda item: "" if item.compared else "too few"),
]


@monitor.command("bias")
@click.argument("name")
@click.option("--windows", "shown", default=7, show_default=True, type=click.IntRange(1, 100_000), help="Newest ones.")
@click.option("--segment", "part", default="", help="Within this segment.")
@click.pass_obj
def bias(invocation: Invocation, name: str, shown: int, part: str) -> None:
    """How unlike the groups of protected columns are answered: window by window, and over all of them together."""
    from backends.contract import NotFound
    from console.monitoring.read import bias_over

    store = invocation.need("monitors")
    found = store.get(name)
    windows = store.windows(found.name, limit=shown, segment=part)
    if not any(window.bias for window in windows):
        wanted = "mlops-console monitor protect NAME COLUMN chooses some"
        raise NotFound(
            f"{found.name} has counted no groups in its newest {plural(len(windows), 'window')}"
            + (
                f"; it compares {', '.join(found.protected)} from the next batch on"
                if found.protected
                else f"; {wanted}"
            )
        )
    lines = [
        BiasLine(start=window.start, measure=key, value=each.value, low=each.low, high=each.high, n=each.n)
        for window in windows
        for key, each in sorted(window.bias.items())
    ]
    together, groups = bias_over(invocation.backend, found, windows)

    def human() -> None:
        print_table(lines, BIAS_COLUMNS)
        gap()
        narrate(f"over {plural(len(windows), 'window')} together")
        whole = [
            BiasLine(start=windows[0].start, measure=key, value=each.value, low=each.low, high=each.high, n=each.n)
            for key, each in sorted(together.items())
        ]
        print_table(whole, BIAS_COLUMNS[1:])
        gap()
        print_table(groups, GROUP_COLUMNS)

    invocation.show({"items": lines, "together": together, "groups": groups}, human)


def segments_of(pairs: tuple[str, ...]) -> tuple[Segment, ...]:
    """`NAME=CONDITION` as given to --segment."""
    return tuple(Segment(name=name, where=where) for name, where in key_values(pairs, "--segment").items())
