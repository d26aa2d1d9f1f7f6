"""Preprocessing by column type, in front of the estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from console.training.columns import PARTS, ModelColumns
from console.training.estimator import traits
from console.training.frame import Features
from console.training.recipe import CategoricalSteps, NumericSteps, Recipe

ONEHOT_LEVELS = 64
ORDINAL_LEVELS = 250
"""Histogram trees take at most 255 categories; a column with more keeps its most frequent ones."""


def make_pipeline(recipe: Recipe, features: Features, estimator: Any) -> Pipeline:
    """columns → preprocess → model, unfitted. It takes frames as they come."""
    trees, takes_nan, takes_sparse = traits(estimator)
    steps = recipe.preprocess
    parts = [f"{name}.{part}" for name in features.datetimes for part in PARTS]
    numeric = [*features.numeric, *parts]
    transformers: list[tuple[str, Any, list[str]]] = []
    if numeric:
        transformers.append(("numeric", _numeric(steps.numeric, trees, takes_nan), numeric))
    if features.categorical:
        transformers.append(("categorical", _categorical(steps.categorical, trees, takes_sparse), features.categorical))
    prepare = ColumnTransformer(
        transformers, sparse_threshold=0.3 if takes_sparse else 0.0, verbose_feature_names_out=False
    )
    select = ModelColumns(list(features.numeric), list(features.categorical), list(features.datetimes))
    return Pipeline([("columns", select), ("preprocess", prepare), ("model", estimator)])


def _numeric(steps: NumericSteps, trees: bool, takes_nan: bool) -> Any:
    made: list[tuple[str, Any]] = []
    impute = ("none" if takes_nan else "median") if steps.impute == "auto" else steps.impute
    if impute == "zero":
        made.append(("impute", SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)))
    elif impute != "none":
        made.append(("impute", SimpleImputer(strategy=impute, keep_empty_features=True)))
    if steps.scale if steps.scale is not None else not trees:
        made.append(("scale", StandardScaler()))
    return Pipeline(made) if made else "passthrough"


def _categorical(steps: CategoricalSteps, trees: bool, takes_sparse: bool) -> Any:
    encode = ("ordinal" if trees else "onehot") if steps.encode == "auto" else steps.encode
    if encode == "ordinal":
        return OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=-1,
            encoded_missing_value=-2,
            min_frequency=steps.min_frequency,
            max_categories=steps.max_levels or ORDINAL_LEVELS,
            dtype=np.float64,
        )
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=steps.min_frequency,
        max_categories=steps.max_levels or ONEHOT_LEVELS,
        sparse_output=takes_sparse,
    )
