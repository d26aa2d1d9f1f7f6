"""`mlops-console lineage`: where something comes from, and what was made from it."""

from __future__ import annotations

import click

from console.cli.output import narrate, print_lines
from console.cli.verb import Invocation, Verb
from console.lineage import BREADTH, DEPTH, Lineage, Node, tree_lines

KINDS = {"more": "", "definition": "made by"}


@click.command("lineage", cls=Verb)
@click.argument("ref", metavar="REF")
@click.option("--up", is_flag=True, help="Only what it was made from.")
@click.option("--down", is_flag=True, help="Only what was made from it.")
@click.option("--depth", default=DEPTH, show_default=True, type=click.IntRange(1, 50), help="Steps at most.")
@click.option("--breadth", default=BREADTH, show_default=True, type=click.IntRange(1, 1000), help="Branches at most.")
@click.pass_obj
def lineage(invocation: Invocation, ref: str, up: bool, down: bool, depth: int, breadth: int) -> None:
    """Where REF comes from and what was made from it: source, dataset versions, runs, model versions, what serves them.

    REF is NAME@VERSION of a dataset or a model, MODEL@ALIAS, or a run; dataset:, model: or run: before it says which.
    """
    from console.lineage import lineage as followed

    both = up == down
    found = followed(invocation.backend, ref, up=up or both, down=down or both, depth=depth, breadth=breadth)
    invocation.show(found, lambda: print_lineage(found, up=up or both, down=down or both))


def print_lineage(found: Lineage, *, up: bool, down: bool) -> None:
    print_lines(told(found.subject))
    for title, nodes, asked in (("made from", found.up, up), ("made into", found.down, down)):
        if asked:
            print_lines(title)
            print_lines("\n".join(lead + told(node) for lead, node in tree_lines(nodes)) or "└─ nothing that is known")
    for note in found.notes:
        narrate(note)


def told(node: Node) -> str:
    """A node on one line."""
    kind = KINDS.get(node.kind, node.kind)
    return "  ".join(part for part in (kind, node.name, node.detail) if part)
