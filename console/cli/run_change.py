"""`mlops-console run delete`, `restore`, `note`, `rename`, `tag`: what is changed of a run that is there."""

from __future__ import annotations

import click

from console.cli.output import narrate, print_json
from console.cli.run import run
from console.cli.verb import Invocation, key_values, reason_option
from console.training.find import find_run


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
