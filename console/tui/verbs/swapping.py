"""What a move of an alias does to what is served, for the dialogs that ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.tui.deployment_columns import summary
from console.tui.dialogs import sentences

if TYPE_CHECKING:
    from backends.contract import Backend
    from backends.entities import Deployment
    from console.tui.lines import Line

NAMED = 3


def following(backend: Backend, model: str, alias: str) -> tuple[Deployment, ...]:
    """Deployments that swap when this alias moves."""
    from console.serving.deployment.change import following as followers

    return followers(backend, model, alias)


def swapping(deployments: tuple[Deployment, ...], version: str) -> list[Line]:
    """Which deployments swap; nothing where none follows the alias."""
    if not deployments:
        return []
    names = ", ".join(summary(each) for each in deployments[:NAMED])
    more = f" and {len(deployments) - NAMED} more" if len(deployments) > NAMED else ""
    word = "swaps" if len(deployments) == 1 else "swap"
    return sentences(f"Served: {names}{more} {word} to v{version} within half a second; no request is dropped.")
