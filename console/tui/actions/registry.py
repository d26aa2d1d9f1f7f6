"""All actions, room after room: the order of help and palette."""

from __future__ import annotations

from console.tui.actions import (
    charts,
    comparing,
    datasets,
    deployments,
    everywhere,
    logs,
    models,
    monitoring,
    places,
    sweeps,
    training,
    triggers,
)
from console.tui.actions.action import Action

ACTIONS: tuple[Action, ...] = (
    *everywhere.ACTIONS,
    *datasets.ACTIONS,
    *training.ACTIONS,
    *sweeps.ACTIONS,
    *charts.ACTIONS,
    *logs.ACTIONS,
    *comparing.ACTIONS,
    *models.ACTIONS,
    *monitoring.ACTIONS,
    *triggers.ACTIONS,
    *deployments.ACTIONS,
    *places.ACTIONS,
)

BY_ID: dict[str, Action] = {action.id: action for action in ACTIONS}

COMMANDS: dict[str, Action] = {word: action for action in ACTIONS for word in action.command}
