"""`mlops-console deploy predictions`: what was asked and answered last."""

from __future__ import annotations

import click

from console.cli.deploy import deploy
from console.cli.output import Col, narrate
from console.cli.verb import Invocation
from console.serving.deployment.predictions import Prediction, agreement, latest
from console.wording import local_time, number, percent, plural


def _value(value: object) -> str:
    if isinstance(value, float):
        return number(value, 4)
    return "" if value is None else str(value)


COLUMNS: list[Col[Prediction]] = [
    Col("id", lambda item: item.id, widest=26),
    Col("time", lambda item: local_time(item.at)),
    Col("version", lambda item: f"v{item.version}"),
    Col("answer", lambda item: _value(item.value), widest=24),
    Col("score", lambda item: _value(item.score), widest=24),
    Col("shadow", lambda item: _value(item.shadow), widest=24),
    Col("row", lambda item: "  ".join(f"{name} {_value(value)}" for name, value in item.row.items()), widest=100),
]


@deploy.command("predictions")
@click.argument("name")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.pass_obj
def predictions(invocation: Invocation, name: str, limit: int) -> None:
    """The newest kept predictions, newest first, and what a shadow said of the same rows."""
    found = invocation.need("deployments").get(name)
    kept = latest(invocation.home(), found.name, limit)
    invocation.show_items(kept, COLUMNS, empty=f"{found.name} has kept no prediction yet")
    told = agreement(kept)
    if told is not None:
        apart = f", scores {number(told.apart, 3)} apart on average" if told.apart is not None else ""
        narrate(f"of {plural(told.rows, 'row')} a shadow answered too, {percent(told.same)} got the same answer{apart}")
