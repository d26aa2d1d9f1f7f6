"""`mlops-console experiment …`: named groups of runs."""

from __future__ import annotations

import click

from backends.entities import Experiment
from console.cli.output import Col, narrate, print_record
from console.cli.verb import Invocation, Noun, reason_option
from console.wording import local_time, since


@click.group("experiment", cls=Noun)
def experiment() -> None:
    """Named groups of runs."""


COLUMNS: list[Col[Experiment]] = [
    Col("name", lambda item: item.name, widest=60),
    Col("runs", lambda item: "" if item.runs is None else item.runs, right=True),
    Col("age", lambda item: since(item.updated_at or item.created_at), right=True),
    Col("id", lambda item: item.id),
    Col("note", lambda item: item.note, widest=60),
]


@experiment.command("list")
@click.option("--deleted", is_flag=True, help="Deleted experiments instead.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.option("--at", default="", metavar="CURSOR", help="Go on from what an earlier list gave as next.")
@click.pass_obj
def list_(invocation: Invocation, deleted: bool, limit: int, at: str) -> None:
    """Experiments, last changed first."""
    page = invocation.need("experiments").page(at=at, limit=limit, deleted=deleted)
    invocation.show_page(
        page, COLUMNS, empty="no experiments" if deleted else "no experiments yet; a run makes its own"
    )


@experiment.command("show")
@click.argument("name", metavar="EXPERIMENT")
@click.pass_obj
def show(invocation: Invocation, name: str) -> None:
    """What is known of an experiment, by name or id."""
    found: Experiment = invocation.need("experiments").get(name)
    invocation.show(found, lambda: _print(found))


def _print(found: Experiment) -> None:
    print_record(
        {
            "experiment": found.name,
            "id": found.id,
            "runs": found.runs,
            "created": local_time(found.created_at),
            "changed": local_time(found.updated_at or found.created_at),
            "deleted": local_time(found.deleted_at) if found.deleted_at is not None else "",
            "tags": ", ".join(f"{key}={value}" for key, value in sorted(found.tags.items())),
            "note": found.note,
        }
    )


@experiment.command("create")
@click.argument("name")
@reason_option
@click.pass_obj
def create(invocation: Invocation, name: str, reason: str, key: str) -> None:
    """An experiment without runs."""
    made: Experiment = invocation.need("experiments").create(name, invocation.mutation(reason, key))
    invocation.show(made, lambda: narrate(f"experiment {made.name}: made"))


@experiment.command("rename")
@click.argument("name", metavar="EXPERIMENT")
@click.argument("new")
@reason_option
@click.pass_obj
def rename(invocation: Invocation, name: str, new: str, reason: str, key: str) -> None:
    """Give an experiment, and with it its runs, another name."""
    store = invocation.need("experiments")
    store.rename(name, new, invocation.mutation(reason, key))
    _after(invocation, new, f"renamed from {name}")


@experiment.command("note")
@click.argument("name", metavar="EXPERIMENT")
@click.argument("text")
@reason_option
@click.pass_obj
def note(invocation: Invocation, name: str, text: str, reason: str, key: str) -> None:
    """Write a note on an experiment."""
    invocation.need("experiments").set_note(name, text, invocation.mutation(reason, key))
    _after(invocation, name, "noted")


@experiment.command("delete")
@click.argument("name", metavar="EXPERIMENT")
@reason_option
@click.pass_obj
def delete(invocation: Invocation, name: str, reason: str, key: str) -> None:
    """Put an experiment and its runs out of sight; restore brings them back."""
    invocation.need("experiments").delete(name, invocation.mutation(reason, key))
    _after(invocation, name, "deleted")


@experiment.command("restore")
@click.argument("name", metavar="EXPERIMENT")
@reason_option
@click.pass_obj
def restore(invocation: Invocation, name: str, reason: str, key: str) -> None:
    """Bring a deleted experiment back, with the runs that went with it."""
    invocation.need("experiments").restore(name, invocation.mutation(reason, key))
    _after(invocation, name, "restored")


def _after(invocation: Invocation, name: str, done: str) -> None:
    found: Experiment = invocation.need("experiments").get(name)
    invocation.show(found, lambda: narrate(f"experiment {found.name}: {done}"))
