"""`mlops-console monitor compare`: two files held against each other, without a model."""

from __future__ import annotations

from pathlib import Path

import click

from backends.entities import ColumnScore
from console.cli.monitor import monitor
from console.cli.output import Col, gap, print_record, print_table
from console.cli.verb import Invocation
from console.monitoring.drift.comparing import Comparison, compare_offloaded
from console.wording import number, thousands

COLUMNS: list[Col[ColumnScore]] = [
    Col("column", lambda item: item.column),
    Col("state", lambda item: item.state, state=True),
    Col("fault", lambda item: item.fault),
    Col("PSI", lambda item: number(item.psi, 3), right=True),
    Col("JS", lambda item: number(item.jensen_shannon, 3), right=True),
    Col("KS", lambda item: number(item.ks, 3), right=True),
    Col("W", lambda item: number(item.wasserstein, 3), right=True),
    Col("p", lambda item: number(item.p_value, 2), right=True),
    Col("q", lambda item: number(item.q_value, 2), right=True),
    Col("missing", lambda item: f"{item.missing * 100:.1f} %", right=True),
    Col("outside", lambda item: f"{item.outside * 100:.1f} %", right=True),
    Col("new", lambda item: f"{item.new * 100:.1f} %", right=True),
    Col("why", lambda item: item.reason, widest=70),
]


@monitor.command("compare")
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("current", type=click.Path(path_type=Path))
@click.option("--column", "columns", multiple=True, help="Only this one; may be given more than once.")
@click.pass_obj
def compare(invocation: Invocation, reference: Path, current: Path, columns: tuple[str, ...]) -> None:
    """How the rows of the file CURRENT differ from those of REFERENCE: CSV, TSV, JSONL or Parquet.

    PSI over tenths of the reference, Jensen-Shannon distance, exact Kolmogorov-Smirnov and Wasserstein distances (the
    latter in standard deviations of the reference), the p-value of the two-sample chi-square and q, the same corrected
    over all columns. A column is called far where q is at most 0.05 and PSI at least 0.1.
    """
    found = compare_offloaded(reference, current, columns)
    invocation.show(found, lambda: _print(found))


def _print(found: Comparison) -> None:
    far = sum(1 for each in found.columns if each.state in ("warn", "firing"))
    print_record(
        {
            "reference": f"{found.reference}, {thousands(found.reference_rows)} rows",
            "current": f"{found.current}, {thousands(found.current_rows)} rows",
            "odd": f"{far} of {len(found.columns)} columns",
            "gone": ", ".join(found.gone),
            "added": ", ".join(found.added),
        }
    )
    gap()
    print_table(found.columns, COLUMNS)
