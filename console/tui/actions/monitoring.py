"""Alerts of what is in production."""

from __future__ import annotations

from console.tui.actions import when
from console.tui.actions.action import Action, Tier

ACTIONS: tuple[Action, ...] = (
    Action(
        "ack",
        "a",
        "acknowledge",
        "Say that you have seen the selected alert.",
        "alerts:acknowledge",
        ("overview", "monitor"),
        Tier.REVERSIBLE,
        when.an_alert,
        ("ack",),
        cli="mlops-console alert ack ALERT",
        footer=11,
        mutates=True,
        needs="monitors",
    ),
)
