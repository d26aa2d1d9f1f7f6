"""Models: put a version in production, and take it back."""

from __future__ import annotations

from console.tui.actions import when
from console.tui.actions.action import Action, Tier

ACTIONS: tuple[Action, ...] = (
    Action(
        "promote",
        "p",
        "promote",
        "Point the champion alias at the selected version, after its gates.",
        "models:promote",
        ("models",),
        Tier.PRODUCTION,
        when.promotable,
        ("promote",),
        cli="mlops-console model promote MODEL VERSION",
        footer=11,
        mutates=True,
        needs="registry",
    ),
    Action(
        "rollback",
        "b",
        "roll back",
        "Point the alias back at the version that held it before.",
        "models:roll_back",
        ("models", "monitor", "deployments", "overview"),
        Tier.PRODUCTION,
        when.returnable,
        ("rollback",),
        cli="mlops-console model rollback MODEL",
        footer=12,
        mutates=True,
        needs="registry",
    ),
    Action(
        "undo",
        "u",
        "undo",
        "Take back your latest promotion or rollback, if nobody moved the alias since.",
        "models:take_back",
        ("overview", "models", "journal"),
        Tier.PRODUCTION,
        command=("undo",),
        cli="mlops-console model undo",
        footer=13,
        mutates=True,
        needs="registry",
    ),
    Action(
        "card",
        "C",
        "card",
        "Everything that is known of the selected version, to read and to export.",
        "cards:show_card",
        ("models",),
        available=when.a_version,
        command=("card",),
        cli="mlops-console model card MODEL VERSION",
        footer=24,
        needs="registry",
    ),
)
