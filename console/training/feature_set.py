"""A recipe that names a feature set learns from its features and from nothing else; the run pins the version."""

from __future__ import annotations

from backends.contract import Backend, Invalid, NotFound
from backends.entities import DatasetVersion, Definition
from console.data.features.grammar import KIND, parse_features
from console.toml_form import did_you_mean
from console.training.recipe import Recipe, override_recipe, parse_recipe

FARTHEST = 50
"""Versions back that are looked at for the one the set made."""


def pin_features(backend: Backend, text: str, source: str = "recipe") -> str:
    """The recipe's text with its feature set's version and columns written out; as it is where it names no set.

    Invalid where the dataset version was not made by that very version of the set, where the recipe takes a column
    that is none of its features, or where the target is one.
    """
    recipe = parse_recipe(text, source)
    if not recipe.features:
        return text
    definition: Definition = backend.need("definitions").get(KIND, recipe.features)
    names = [each.name for each in parse_features(definition.text, definition.ref, definition.name).features]
    version: DatasetVersion = backend.need("datasets").version(recipe.dataset)
    if definition.whole not in _makers(backend, version):
        raise Invalid(
            f"{source}: features: {version.ref} was not made by feature set {definition.ref}; make it: "
            f"mlops-console dataset features apply {definition.ref} --labels …, and name what comes of it as dataset.",
            "features",
        )
    strange = [name for name in (*recipe.columns, *recipe.exclude) if name not in names]
    if strange:
        key = "columns" if strange[0] in recipe.columns else "exclude"
        raise Invalid(
            f"{source}: {key}: {strange[0]!r} is not a feature of {definition.ref}{did_you_mean(strange[0], names)} "
            f"It has: {', '.join(names[:20])}.",
            key,
        )
    if recipe.target in names:
        raise Invalid(
            f"{source}: target: {recipe.target!r} is a feature of {definition.ref}: the model would be told it.",
            "target",
        )
    columns = _columns(recipe, names)
    return override_recipe(text, {"features": definition.ref, "columns": columns, "exclude": []}, source)


def _columns(recipe: Recipe, names: list[str]) -> list[str]:
    columns = [name for name in recipe.columns or names if name not in recipe.exclude]
    if not columns:
        raise Invalid("exclude leaves none of the set's features to learn from.", "exclude")
    return columns


def _makers(backend: Backend, version: DatasetVersion) -> set[str]:
    """What made the version, and what made those that it was made from."""
    makers: set[str] = set()
    for _ in range(FARTHEST):
        makers.add(version.made_by)
        if not version.parent:
            break
        try:
            version = backend.need("datasets").version(version.parent)
        except NotFound:
            break  # deleted since
    return makers
