"""The three recipes of the demo, as files that a person may read, change and start again."""

from __future__ import annotations

from pathlib import Path

from console.demo.flights import FEATURES, TARGET

DATASET = "flights"
MODEL = "flights-delay"
EXPERIMENT = "flights"

# At random, as most people split first: days stand on both sides, so the test flatters, and the live accuracy tells.
_COMMON = """\
name       = "{name}"
experiment = "{experiment}"
dataset    = "{dataset}"
task       = "classification"
target     = "{target}"
positive   = "yes"
time       = "scheduled"
seed       = 2013
note       = "{note}"
columns    = [
{columns}
]

[split]
by   = "random"
test = 0.25

[metrics]
report  = ["auc", "log_loss", "accuracy", "brier"]
primary = "auc"

"""

_ESTIMATORS = {
    "flights-lr": (
        "logistic regression, the first that works",
        """\
[preprocess]
numeric     = { impute = "median", scale = true }
categorical = { encode = "onehot", min_frequency = 20 }

[estimator]
class  = "sklearn.linear_model.LogisticRegression"
params = { max_iter = 300, C = 0.5 }
""",
    ),
    "flights-rf": (
        "random forest",
        """\
[preprocess]
numeric     = { impute = "median" }
categorical = { encode = "ordinal" }

[estimator]
class  = "sklearn.ensemble.RandomForestClassifier"
params = { n_estimators = 40, max_depth = 12, min_samples_leaf = 10 }
""",
    ),
    "flights-hgb": (
        "gradient boosting on histograms",
        """\
[preprocess]
categorical = { encode = "ordinal" }

[estimator]
class  = "sklearn.ensemble.HistGradientBoostingClassifier"
params = { max_iter = 120, learning_rate = 0.1 }
""",
    ),
}

FIRST, SECOND, BEST = _ESTIMATORS
"""In the order they are started: the first champion, one that stays a candidate, and its successor."""


def recipe_text(name: str) -> str:
    """The TOML of one recipe."""
    note, estimator = _ESTIMATORS[name]
    columns = "\n".join(f'    "{column}",' for column in FEATURES)
    common = _COMMON.format(
        name=name, experiment=EXPERIMENT, dataset=DATASET, target=TARGET, note=note, columns=columns
    )
    return common + estimator


def write_recipes(folder: Path) -> dict[str, Path]:
    """All recipes as files; one that a person has changed stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.toml" for name in _ESTIMATORS}
    for name, path in paths.items():
        if not path.exists():
            path.write_text(recipe_text(name), encoding="utf-8")
    return paths
