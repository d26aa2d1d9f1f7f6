"""A recipe whose command starts the same recipe again would start without an end: each run knows from which it came."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from backends.contract import Refused

if TYPE_CHECKING:  # the agent asks for the name alone
    from console.training.command_recipe import CommandRecipe

CHAIN: Final = "MLOPS_CONSOLE_RECIPES"
"""Digests of the recipes whose commands a process runs within, the outermost first, with commas between."""


def lengthened(recipe: CommandRecipe, environ: Mapping[str, str], source: str) -> str:
    """The chain for the recipe's own command. Refused where the recipe is in it already, whatever its values."""
    own = hashlib.sha256(f"{recipe.command}\0{recipe.workdir}".encode()).hexdigest()[:16]
    above = [each for each in environ.get(CHAIN, "").split(",") if each]
    if own in above:
        links = len(above) - above.index(own)
        through = f", through {links - 1} other" if links > 1 else ""
        raise Refused(
            f"{source}: its command ({recipe.command}) starts this recipe again{through}: that would never end. Nothing"
            f" was started; start another recipe from it, or clear {CHAIN} in its environment if it comes to an end."
        )
    return ",".join([*above, own])
