"""From an import path and parameters to a scikit-learn-compatible estimator, or a sentence about what is wrong with
them."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from backends.contract import Invalid
from console.toml_form import did_you_mean
from console.training.recipe import EstimatorChoice


def make_estimator(choice: EstimatorChoice, task: str, seed: int) -> Any:
    """An unfitted estimator, seeded where it takes a `random_state` that the recipe leaves open."""
    estimator = _build(choice.class_, choice.params, "estimator")
    _check_task(estimator, choice.class_, task)
    if "random_state" in estimator.get_params(deep=False) and "random_state" not in choice.params:
        estimator.set_params(random_state=seed)
    return estimator


def _build(path: str, params: dict[str, Any], field: str) -> Any:
    kind = import_estimator(path, field)
    valid = _parameters(kind)
    for name in params:
        if name not in valid:
            raise Invalid(
                f"{field}.params: {name!r} is not a parameter of {kind.__name__}{did_you_mean(name, valid)} "
                f"Valid: {', '.join(valid) or 'none'}.",
                f"{field}.params.{name}",
            )
    values = {name: _nested(value, f"{field}.params.{name}") for name, value in params.items()}
    try:
        estimator = kind(**values)
    except (TypeError, ValueError) as error:
        raise Invalid(f"{path} does not take these parameters: {error}.", f"{field}.params") from error
    # scikit-learn's own estimators declare what their parameters may be; those of others need not.
    validate = getattr(estimator, "_validate_params", None)
    if validate is not None and hasattr(estimator, "_parameter_constraints"):
        try:
            validate()
        except ValueError as error:  # sklearn's InvalidParameterError
            raise Invalid(f"{field}.params: {error}", f"{field}.params") from error
    return estimator


def _nested(value: Any, field: str) -> Any:
    """An estimator within an estimator: a table with `class` and `params`."""
    if isinstance(value, dict) and isinstance(value.get("class"), str):
        return _build(value["class"], value.get("params", {}), field)
    return value


def import_estimator(path: str, field: str = "estimator") -> type:
    """The class at this import path. Invalid unless it is a scikit-learn estimator that can predict."""
    from sklearn.base import BaseEstimator

    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        package = module_name.split(".")[0]
        if package != "sklearn" and getattr(error, "name", None) == package:
            raise Invalid(
                f"{field}.class: {path!r}: the package {package!r} is not installed here; install it, or choose an "
                "estimator of scikit-learn.",
                f"{field}.class",
            ) from error
        raise _unknown(path, field) from error
    kind = getattr(module, name, None)
    if kind is None:
        raise _unknown(path, field)
    if not (inspect.isclass(kind) and issubclass(kind, BaseEstimator) and hasattr(kind, "predict")):
        raise Invalid(
            f"{field}.class: {path} is not a scikit-learn estimator that predicts; wanted a class such as "
            "sklearn.ensemble.RandomForestClassifier.",
            f"{field}.class",
        )
    return kind


def _unknown(path: str, field: str) -> Invalid:
    """By the name alone first: people remember `RandomForest…` better than the module it lives in."""
    from sklearn.utils import all_estimators

    public = {}
    for name, kind in all_estimators():
        if hasattr(kind, "predict"):
            module = kind.__module__.split("._")[0]
            public[name] = f"{module}.{name}"
    wanted = path.rpartition(".")[2]
    near = did_you_mean(wanted, public)
    hint = f"; did you mean {public[near.split(chr(39))[1]]!r}?" if near != "." else did_you_mean(path, public.values())
    return Invalid(f"{field}.class: there is no estimator {path!r}{hint}", f"{field}.class")


def _parameters(kind: type) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]


def _check_task(estimator: Any, path: str, task: str) -> None:
    from sklearn.base import is_classifier, is_regressor

    is_right = is_classifier(estimator) if task == "classification" else is_regressor(estimator)
    if not is_right:
        kind = "classifier" if is_classifier(estimator) else "regressor" if is_regressor(estimator) else "neither"
        twin = _twin(path, task)
        hint = f"; {twin} may be what you want" if twin else ""
        raise Invalid(f"estimator.class: {path} is a {kind}, but the task is {task}{hint}.", "estimator.class")


def _twin(path: str, task: str) -> str:
    """The estimator of the same kind for the other task, where there is one: Ridge and RidgeClassifier."""
    module, _, name = path.rpartition(".")
    stem = name.removesuffix("Regressor").removesuffix("Classifier")
    names = [stem + "Classifier"] if task == "classification" else [stem + "Regressor", stem]
    found = [each for each in names if each != name and hasattr(importlib.import_module(module), each)]
    return f"{module}.{found[0]}" if found else ""


def traits(estimator: Any) -> tuple[bool, bool, bool]:
    """(is made of trees, takes NaN, takes sparse input)."""
    from sklearn.utils import get_tags

    tags = get_tags(estimator).input_tags
    trees = any(
        word in type(estimator).__name__ for word in ("GradientBoosting", "Forest", "Tree", "LGBM", "XGB", "CatBoost")
    )
    return trees, bool(tags.allow_nan), bool(tags.sparse)
