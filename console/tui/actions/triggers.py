"""What is done by itself, and the remedies that a person takes from an alert."""

from __future__ import annotations

from console.tui.actions import when
from console.tui.actions.action import Action, Tier

ACTIONS: tuple[Action, ...] = (
    Action(
        "triggers",
        "T",
        "triggers",
        "What is done by itself: state, next time, last outcome; pause, resume, run, try, edit.",
        "triggers:show",
        ("overview", "monitor"),
        command=("triggers", "trigger"),
        cli="mlops-console trigger list",
        footer=17,
        needs="triggers",
    ),
    Action(
        "alert.retrain",
        "R",
        "retrain",
        "Retrain the model of the selected alert: fresh data, checks, a run, gates, a challenger.",
        "triggers:retrain",
        ("overview", "monitor"),
        Tier.REVERSIBLE,
        when.a_model,
        ("retrain",),
        cli="mlops-console trigger retrain MODEL",
        footer=16,
        mutates=True,
        needs="triggers",
    ),
    Action(
        "alert.scale",
        "W",
        "scale",
        "Give the deployment of the selected alert's model other workers.",
        "triggers:scale",
        ("overview", "monitor"),
        Tier.PRODUCTION,
        when.a_model,
        cli="mlops-console deploy scale DEPLOYMENT 2",
        footer=18,
        mutates=True,
        needs="deployments",
    ),
    Action(
        "alert.run",
        "o",
        "its run",
        "Open the training run of the version that the selected alert or monitor is about.",
        "triggers:open_run",
        ("overview", "monitor"),
        available=when.a_model,
        cli="mlops-console run show RUN",
        footer=18,
        needs="registry",
    ),
)
