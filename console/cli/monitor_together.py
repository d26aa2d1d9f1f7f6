"""`mlops-console monitor together`: many columns at once, which no single one shows."""

from __future__ import annotations

from typing import Any

import click

from backends.connect import place_of
from backends.contract import Refused
from console.cli.monitor import monitor
from console.cli.output import Col, gap, print_record, print_table
from console.cli.verb import Invocation
from console.offload import run_offloaded
from console.wording import number, thousands

COLUMNS: list[Col[Any]] = [
    Col("column", lambda item: item[0]),
    Col("tells apart", lambda item: number(item[1], 3), right=True),
]


@monitor.command("together")
@click.argument("name")
@click.pass_obj
def together(invocation: Invocation, name: str) -> None:
    """The newest rows against held-out ones of the training data, all columns together.

    How much worse the reference's principal components rebuild them, and how well a classifier tells them apart. Kept
    with the newest window; the agent does it once an hour.
    """
    invocation.need("monitors").get(name)
    if invocation.backend.features.read_only:
        raise Refused(f"context {invocation.backend.name} is read-only, and what is found is kept with the window")
    found = run_offloaded("console.monitoring.drift.multivariate_worker", [place_of(invocation.backend), name])
    invocation.show(found, lambda: _print(found))


def _print(found: dict[str, Any]) -> None:
    def told(estimate: dict[str, Any]) -> str:
        return f"{number(estimate['value'], 3)} [{number(estimate['low'], 3)}, {number(estimate['high'], 3)}]"

    print_record(
        {
            "rows": f"{thousands(found['rows'])} against {thousands(found['reference_rows'])} of the training data",
            "components": f"{told(found['reconstruction'])} standard deviations worse rebuilt (0 without drift)",
            "classifier": f"{told(found['domain'])} area under its ROC curve (0.5 without drift)",
        }
    )
    if found["columns"]:
        gap()
        print_table(found["columns"], COLUMNS)
