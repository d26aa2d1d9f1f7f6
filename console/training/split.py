"""Which rows are held out: at random, by time, or by group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from backends.contract import Invalid
from console.training.recipe import Recipe

Indices = np.ndarray[Any, np.dtype[np.int64]]


def split_rows(recipe: Recipe, frame: pd.DataFrame, target: Any) -> tuple[Indices, Indices]:
    """(training, test) row positions. Invalid where a part would be empty or hold one class only."""
    rule = recipe.split
    if rule.by == "time":
        train, test = _by_time(recipe, frame[rule.column])
    elif rule.by == "group":
        train, test = _by_group(recipe, frame[rule.column])
    else:
        train, test = _at_random(recipe, target)
    for name, part in (("training", train), ("test", test)):
        if len(part) < 5:
            raise Invalid(
                f"the {name} part has {len(part)} rows after the split by {rule.by}, wanted at least 5; "
                "change split.test, or bring more data.",
                "split.test",
            )
    if recipe.task == "classification" and len(np.unique(target[train])) < 2:
        raise Invalid(
            f"after the split by {rule.by} the training part holds one class only ({target[train][0]}); "
            "split at random, or bring data with other outcomes.",
            "split",
        )
    return train, test


def folds(recipe: Recipe, frame: pd.DataFrame, target: Any, train: Indices) -> Iterator[tuple[Indices, Indices]]:
    """(fit, validation) row positions within the training rows, split by the same rule."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

    rule = recipe.split
    groups = None
    if rule.by == "time":
        train = train[np.argsort(frame[rule.column].to_numpy()[train], kind="stable")]
        splitter: Any = TimeSeriesSplit(rule.folds)
    elif rule.by == "group":
        groups = pd.factorize(frame[rule.column])[0][train]
        if len(np.unique(groups)) < rule.folds:
            raise Invalid(
                f"split.folds is {rule.folds}, but the training rows have {len(np.unique(groups))} groups.",
                "split.folds",
            )
        splitter = GroupKFold(rule.folds)
    elif recipe.task == "classification":
        smallest = np.unique(target[train], return_counts=True)[1].min()
        if smallest < rule.folds:
            raise Invalid(
                f"split.folds is {rule.folds}, but the rarest class has {smallest} training rows.", "split.folds"
            )
        splitter = StratifiedKFold(rule.folds, shuffle=True, random_state=recipe.seed)
    else:
        splitter = KFold(rule.folds, shuffle=True, random_state=recipe.seed)
    for fit, validation in splitter.split(train, target[train], groups):
        yield train[fit], train[validation]


def _at_random(recipe: Recipe, target: Any) -> tuple[Indices, Indices]:
    from sklearn.model_selection import train_test_split

    stratify = None
    if recipe.task == "classification" and np.unique(target, return_counts=True)[1].min() >= 2:
        stratify = target
    rows = np.arange(len(target))
    try:
        train, test = train_test_split(rows, test_size=recipe.split.test, random_state=recipe.seed, stratify=stratify)
    except ValueError as error:
        raise Invalid(
            f"the rows cannot be split with split.test = {recipe.split.test}: {error}.", "split.test"
        ) from error
    return np.sort(train), np.sort(test)


def _by_time(recipe: Recipe, times: pd.Series) -> tuple[Indices, Indices]:
    """The latest rows are the test. Rows of one instant stay together, so that the future never leaks into the past."""
    if not (pd.api.types.is_datetime64_any_dtype(times.dtype) or pd.api.types.is_numeric_dtype(times.dtype)):
        raise Invalid(
            f"split.column {recipe.split.column!r} is text; a split by time wants times, dates or numbers.",
            "split.column",
        )
    values = times.to_numpy()
    order = np.sort(values, kind="stable")
    cut = order[min(int(np.ceil(len(order) * (1 - recipe.split.test))), len(order) - 1)]
    test = values >= cut
    if test.all():
        raise Invalid(
            f"split.column {recipe.split.column!r}: too few distinct times to hold out the latest rows.", "split.column"
        )
    return np.flatnonzero(~test), np.flatnonzero(test)


def _by_group(recipe: Recipe, groups: pd.Series) -> tuple[Indices, Indices]:
    from sklearn.model_selection import GroupShuffleSplit

    codes = pd.factorize(groups, use_na_sentinel=False)[0]
    if len(np.unique(codes)) < 2:
        raise Invalid(
            f"split.column {recipe.split.column!r} has one group only; a split by group wants at least two.",
            "split.column",
        )
    splitter = GroupShuffleSplit(1, test_size=recipe.split.test, random_state=recipe.seed)
    train, test = next(splitter.split(codes, groups=codes))
    return np.sort(train), np.sort(test)
