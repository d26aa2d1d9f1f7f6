"""`mlops-console dataset diff`: what differs between two versions."""

from __future__ import annotations

import click

from console.cli.dataset import dataset
from console.cli.output import Col, gap, narrate, print_record, print_table
from console.cli.verb import Invocation
from console.data.diff import Move, VersionDiff
from console.data.diff_text import facts, figures
from console.wording import NOTHING


@dataset.command("diff")
@click.argument("before", metavar="NAME@VERSION")
@click.argument("after", metavar="NAME[@VERSION]")
@click.option("--key", "keys", multiple=True, metavar="COLUMN", help="Rows are the same where this is; repeatable.")
@click.pass_obj
def diff(invocation: Invocation, before: str, after: str, keys: tuple[str, ...]) -> None:
    """What changed from BEFORE to AFTER: columns, rows, and which distributions moved, worst first.

    Of two versions of a feature set: which features were added, removed and changed.
    """
    from console.cli.dataset_features import are_sets, show_difference
    from console.cli.follow import ProgressLine
    from console.data.offloaded import diff_offloaded

    if are_sets(invocation, before, after):
        show_difference(invocation, before, after)
        return
    with ProgressLine() as line:
        found = diff_offloaded(invocation.backend, before, after, key=keys, on_progress=line.follow)
    invocation.show(found, lambda: print_diff(found))


def print_diff(found: VersionDiff) -> None:
    print_record(dict(facts(found)))
    gap()
    columns: list[Col[Move]] = [
        Col("column", lambda move: move.name),
        Col("moved", lambda move: move.words),
        Col("PSI", lambda move: figures(move)["PSI"], right=True),
        Col("KS", lambda move: figures(move).get("KS", NOTHING), right=True),
        Col("JS", lambda move: figures(move)["JS"], right=True),
        Col("shift", lambda move: figures(move).get("shift", NOTHING), right=True),
        Col("missing", lambda move: figures(move)["missing"], right=True),
        Col("median", lambda move: figures(move).get("median", NOTHING), right=True),
        Col("new", lambda move: ", ".join(move.new)),
        Col("lost", lambda move: ", ".join(move.lost)),
    ]
    print_table(found.moved, columns, empty="no column is in both with one type")
    error = max((move.error for move in found.moved), default=0.0)
    if error:
        narrate(f"figures of long columns are from random samples: shares within ±{error * 100:.2g} %")
