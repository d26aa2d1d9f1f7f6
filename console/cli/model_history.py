"""`mlops-console model history|at`: how aliases moved and what they named, with who asked and who agreed."""

from __future__ import annotations

import click
import msgspec

from backends.entities import AliasMove
from console.cli.model import model
from console.cli.model_text import MOVE_COLUMNS
from console.cli.output import Col, narrate, print_table
from console.cli.verb import Invocation
from console.wording import local_time


@model.command("history")
@click.argument("name", metavar="MODEL")
@click.option("--alias", default="", help="Only this alias.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.pass_obj
def history(invocation: Invocation, name: str, alias: str, limit: int) -> None:
    """How the aliases of a model moved, newest first, and who agreed where others were asked."""
    from console.promotion.consent import consents_to, words

    moves: tuple[AliasMove, ...] = invocation.need("registry").history(name, alias=alias, limit=limit)
    asked = consents_to(invocation.backend, name, moves)
    if invocation.json:
        items = [
            {**msgspec.to_builtins(move), **({"consent": asked[move.entry]} if move.entry in asked else {})}
            for move in moves
        ]
        invocation.show({"items": items, "next": None}, lambda: None)
        return
    agreed = Col[AliasMove]("agreed", lambda item: words(asked[item.entry]) if item.entry in asked else "", widest=80)
    print_table(moves, [*MOVE_COLUMNS, *([agreed] if asked else [])], empty=f"no alias of {name} has moved")


@model.command("at")
@click.argument("name", metavar="MODEL")
@click.argument("when", metavar="TIME")
@click.option("--alias", default="", help="Only this alias; without it all, of which champion stands first.")
@click.pass_obj
def at(invocation: Invocation, name: str, when: str, alias: str) -> None:
    """Which versions the aliases named at TIME (ISO, local unless Z; or an age such as 7d), and who put them there."""
    from console.moment import moment
    from console.promotion.at import moves_at
    from console.promotion.consent import consents_to, words

    instant, main = moment(when), alias or "champion"
    found = {each: move for each, move in moves_at(invocation.backend, name, instant).items() if alias in ("", each)}
    held = {each: move.version for each, move in found.items() if move.version is not None}
    held = {each: held[each] for each in sorted(held, key=lambda each: (each != main, each))}
    asked = consents_to(invocation.backend, name, [found[each] for each in held])
    by = {each: asked[found[each].entry] for each in held if found[each].entry in asked}

    def human() -> None:
        for each in held or [main]:
            version = held.get(each)
            said = f"{name} {each} at {local_time(instant)}: {f'v{version}' if version else 'nothing'}"
            if version:
                move = found[each]
                said += f", since {local_time(move.at)} by {move.actor}"
                said += f" ({words(by[each])})" if each in by else ""
            narrate(said)

    document = {"model": name, "alias": main, "at": instant, "version": held.get(main), "aliases": held}
    moves = {each: found[each] for each in held}
    invocation.show({**document, "moves": moves, "consents": by}, human)
