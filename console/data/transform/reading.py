"""From the text of a recipe to its record: every fault is told with its file, line, step and the nearest right word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backends.contract import Invalid
from backends.entities import Record
from console.data.transform.grammar import (
    KINDS,
    AnyStep,
    Bucket,
    Clip,
    Impute,
    Join,
    Normalise,
    Recipe,
    Rename,
    Sample,
    Split,
    Target,
    learns,
)
from console.toml_form import Places, check_keys, convert, did_you_mean, parse_toml, read_toml


class _Head(Record, frozen=True, kw_only=True):
    name: str = ""
    labels: tuple[str, ...] = ()
    note: str = ""
    step: tuple[dict[str, Any], ...] = ()


def load_recipe(path: Path, name: str = "") -> Recipe:
    return parse_recipe(read_toml(path, "transform recipe"), str(path), name or path.name.removesuffix(".toml"))


def parse_recipe(text: str, source: str = "recipe", name: str = "") -> Recipe:
    """The recipe in this TOML text; `name` where it gives none. Invalid names file, line, step and nearest key."""
    table, places = parse_toml(text, source), Places(source, text)
    if "steps" in table and "step" not in table:
        raise Invalid(f"{places.of('steps')}: each step stands under a [[step]] of its own.", "step")
    check_keys(table, _Head, "a transform recipe", places)
    head = convert(table, _Head, "recipe", places)
    if not head.step:
        raise Invalid(f'{source}: the recipe has no step; add [[step]] with do = "…": {", ".join(KINDS)}.', "step")
    steps = tuple(_step(each, number, places) for number, each in enumerate(head.step))
    recipe = Recipe(
        name=head.name or name, steps=steps, labels=head.labels, note=head.note, text=text, places=places
    )  # fmt: skip
    _check(recipe)
    return recipe


def _step(table: dict[str, Any], at: int, places: Places) -> AnyStep:
    do = table.get("do")
    if not isinstance(do, str) or do not in KINDS:
        said = f"do = {do!r} is not a step{did_you_mean(str(do), KINDS)}" if do is not None else "says not what to do."
        raise Invalid(f"{places.of('step', at, 'do')}: step {at + 1} {said} Valid: {', '.join(KINDS)}.", "do")
    kind = KINDS[do]
    check_keys(table, kind, f"step {at + 1} ({do})", places, "step", at)
    return convert(table, kind, f"step {at + 1} ({do})", places, "step", at)  # type: ignore[return-value]


def _check(recipe: Recipe) -> None:
    def wrong(number: int, key: str, message: str) -> Invalid:
        return Invalid(f"{recipe.where(number, key)}: {message}", key)

    split_at = 0
    for number, step in enumerate(recipe.steps, 1):
        parts = getattr(step, "parts", ())
        match step:
            case Split():
                if split_at:
                    raise wrong(number, "do", f"the rows are split in step {split_at} already; one split is enough.")
                split_at = number
                _check_split(step, lambda key, message, at=number: wrong(at, key, message))
                continue
            case Impute() if (step.with_ == "constant") != (step.value is not None):
                raise wrong(number, "value", 'value = … goes with with = "constant", and only with it.')
            case Normalise() if not step.range[0] < step.range[1]:
                raise wrong(number, "range", f"is {list(step.range)}; wanted the lower bound first.")
            case Clip() if (step.quantiles is None) == (step.low is None and step.high is None):
                raise wrong(number, "quantiles", "give low and high (or one of them), or quantiles = [0.01, 0.99].")
            case Clip(low=float() | int() as low, high=float() | int() as high) if low > high:
                raise wrong(number, "low", f"low = {low} is above high = {high}.")
            case Clip(quantiles=(low, high)) if not 0 <= low < high <= 1:
                raise wrong(number, "quantiles", "wanted two shares from 0 to 1, the lower first.")
            case Bucket() if bool(step.edges) == bool(step.bins):
                raise wrong(number, "edges", "give edges = [0, 10, 20], or bins = 5 to have them laid by the data.")
            case Bucket() if step.edges and (len(step.edges) < 2 or list(step.edges) != sorted(set(step.edges))):
                raise wrong(number, "edges", "wanted at least two edges, each above the one before.")
            case Bucket() if step.bins and not 2 <= step.bins <= 1000:
                raise wrong(number, "bins", f"is {step.bins}; wanted 2 to 1000.")
            case Bucket() if step.labels and step.edges and len(step.labels) != len(step.edges) - 1:
                raise wrong(number, "labels", f"{len(step.labels)} labels for {len(step.edges) - 1} intervals.")
            case Target() if step.folds < 1 or (isinstance(step.smooth, float) and step.smooth < 0):
                raise wrong(number, "folds", "wanted folds of 1 or more, and smooth of 0 or more.")
            case Sample() if (step.share > 0) == (step.rows > 0) or not 0 <= step.share <= 1 or step.rows < 0:
                raise wrong(number, "share", "give share = 0.1 (above 0, at most 1) or rows = 10000.")
            case Sample() if step.key and step.rows:
                raise wrong(number, "key", "goes with share, not with rows.")
            case Join() if not step.on:
                raise wrong(number, "on", 'names no key; add on = ["column"].')
            case Rename() if len(set(step.columns.values())) < len(step.columns):
                raise wrong(number, "columns", "gives two columns the same new name.")
        _check_parts(recipe, number, parts, split_at)
    if split_at and (early := next((n for n, s in enumerate(recipe.steps[:split_at], 1) if learns(s)), 0)):
        raise wrong(
            early, "do",
            f"learns from the rows, and stands before the split of step {split_at}: it would see what is to be held "
            "out. Move it after the split.",
        )  # fmt: skip


def _check_parts(recipe: Recipe, number: int, parts: tuple[str, ...], split_at: int) -> None:
    if not parts:
        return
    if not split_at:
        raise Invalid(f"{recipe.where(number, 'parts')}: parts: no split stands before it.", "parts")
    known = recipe.split.parts if recipe.split else {}
    for part in parts:
        if part not in known:
            raise Invalid(
                f"{recipe.where(number, 'parts')}: {part!r} is not a part of the split{did_you_mean(part, known)}",
                "parts",
            )


def _check_split(step: Split, wrong: Any) -> None:
    total = sum(step.parts.values())
    if len(step.parts) < 2:
        raise wrong("parts", "names fewer than two parts; write parts = { train = 0.75, test = 0.25 }.")
    for name, share in step.parts.items():
        if not name.replace("_", "").replace("-", "").isalnum():
            raise wrong("parts", f"{name!r} becomes part of a dataset's name; use letters, digits, - and _.")
        if not step.at and not 0 < share < 1:
            raise wrong("parts", f"{name} = {share}; wanted a share between 0 and 1.")
    if not step.at and abs(total - 1) > 1e-9:
        raise wrong("parts", f"the shares make {total:g} together; wanted 1.")
    if step.fit and step.fit not in step.parts:
        raise wrong("fit", f"{step.fit!r} is not one of the parts{did_you_mean(step.fit, step.parts)}")
    if step.by != "random" and not step.column:
        raise wrong("column", f'by = {step.by!r} needs a column; add column = "…".')
    if step.by == "random" and step.column:
        raise wrong("column", 'goes with by = "time" or "group"; a random split takes key = ["…"].')
    if step.key and step.by != "random":
        raise wrong("key", 'goes with by = "random".')
    if step.at and step.by != "time":
        raise wrong("at", 'goes with by = "time".')
    if step.at and len(step.at) != len(step.parts) - 1:
        raise wrong("at", f"names {len(step.at)} instants for {len(step.parts)} parts; wanted one fewer than parts.")
