"""By what trials are judged, whichever kind of recipe is swept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.training.command_recipe import CommandRecipe, is_command, override_command_recipe, parse_command_recipe
from console.training.recipe import LOWER_IS_BETTER, Recipe, override_recipe, parse_recipe
from console.training.sweep.space import SweepPlan


def lower_is_better(plan: SweepPlan | None, primary: str) -> bool:
    """What the plan says; where it says nothing, what is known of the metric."""
    return plan.direction == "minimize" if plan is not None and plan.direction else primary in LOWER_IS_BETTER


def any_recipe(text: str, source: str = "recipe") -> Recipe | CommandRecipe:
    """The recipe of an estimator or of a command."""
    return parse_command_recipe(text, source) if is_command(text) else parse_recipe(text, source)


def override_any(text: str, overrides: Mapping[str, Any], source: str = "recipe") -> str:
    """The recipe's text with some keys set anew, as its kind takes them."""
    override = override_command_recipe if is_command(text) else override_recipe
    return override(text, overrides, source)
