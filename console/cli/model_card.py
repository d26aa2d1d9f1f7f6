"""`mlops-console model card`: everything that is known of a version, to read or as a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.cli.model import alias_option, model
from console.cli.output import narrate
from console.cli.verb import Invocation

if TYPE_CHECKING:
    from console.promotion.card import Card


@model.command("card")
@click.argument("name", metavar="MODEL")
@click.argument("version", default="@champion")
@click.option(
    "--format", "kind", type=click.Choice(["md", "html", "json"]), help="By default by the file's ending, md."
)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it here; nothing is overwritten."
)
@click.option("--quick", is_flag=True, help="Without intervals and slices, unless they were measured already.")
@alias_option
@click.pass_obj
def card(
    invocation: Invocation, name: str, version: str, kind: str | None, output: Path | None, quick: bool, alias: str
) -> None:
    """The card of VERSION (a number or @alias): data, training, metrics, bias, gates, history, what is not known.

    Intervals and slices are measured once, from the kept predictions of the held-out rows, and kept.
    """
    from console.promotion.card_text import FORMATS, card_text

    found = _made(invocation, name, version, alias, quick)
    ending = output.suffix.lower().removeprefix(".") if output is not None else ""
    chosen = kind or (ending if ending in FORMATS else "json" if invocation.json else "md")
    text = card_text(found, chosen)
    if output is None:
        if invocation.json and chosen == "json":
            invocation.show(found, lambda: None)
            return
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    _write(output, text)
    invocation.show(
        {"model": found.model, "version": found.version, "format": chosen, "file": str(output)},
        lambda: narrate(f"{found.model} v{found.version}: card in {output}"),
    )


def _made(invocation: Invocation, name: str, version: str, alias: str, quick: bool) -> Card:
    from backends.contract import BackendError
    from console.cli.follow import ProgressLine
    from console.promotion.card_facts import card_of, held_out_report
    from console.training.examiner import held_out_of_model

    one = invocation.need("registry").version(name, version)
    if not quick and one.run and held_out_report(invocation.backend, one) is None:
        try:
            with ProgressLine() as line:
                held_out_of_model(
                    invocation.backend, name, one.version, invocation.session.actor, on_progress=line.follow
                )
        except BackendError as error:
            narrate(f"no intervals and slices: {error}")
    return card_of(invocation.backend, name, one.version, alias=alias)


def _write(target: Path, text: str) -> None:
    """The whole file or none, over nothing."""
    from backends.contract import Refused

    part = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.link(part, target)  # fails where the file is there already
    except FileExistsError:
        raise Refused(f"{target} is there already; nothing was written. Name another file.") from None
    finally:
        part.unlink(missing_ok=True)
