"""Model files: saved as skops, loaded only when their bytes are the recorded ones and every type in them is on our
list.

A model is code. The list of types that may be loaded belongs to the console and never comes from the file or its
metadata. skops builds nothing and imports nothing until the types have been checked, so that a crafted file is
refused, not run. Trees are on the list although a crafted one could read out of bounds: that is why the sha256 that
was recorded at registration comes first.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

from backends.contract import NotFound, Refused
from backends.entities import ModelFile

FORMAT = "skops"

ALLOWED = frozenset({
    "numpy.dtype",
    "console.training.columns.ModelColumns",
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
})  # fmt: skip
"""Beyond what skops trusts by itself (public scikit-learn estimators, plain values, numpy arrays)."""


def save_model(model: Any, path: Path) -> ModelFile:
    """Write the fitted model, and describe the file; `path` is given as the last two parts (`model/model.skops`)."""
    import skops.io

    path.parent.mkdir(parents=True, exist_ok=True)
    skops.io.dump(model, path, compression=zipfile.ZIP_DEFLATED)
    return ModelFile(
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        format=FORMAT,
        path="/".join(path.parts[-2:]),
        untrusted=untrusted_types(path),
        inspected=True,
        libraries=library_versions(),
    )


def load_model(path: Path, sha256: str) -> Any:
    """The model in this file. Refused unless its bytes have this sha256 and all its types are allowed; nothing of a
    refused file is imported or executed. Only a worker, scorer or server may call this, never the console process."""
    if not path.is_file():
        raise NotFound(f"there is no model file {path}; register the version again from a run that still has it.")
    if not sha256:
        raise Refused(
            f"{path.name}: no sha256 was recorded for this model, so it cannot be told from another; not loaded."
        )
    found = file_sha256(path)
    if found != sha256:
        raise Refused(
            f"{path.name} is not the file that was registered: its sha256 is {found[:12]}…, recorded was "
            f"{sha256[:12]}…. It was changed or damaged; not loaded. Restore it, or train again."
        )
    untrusted = untrusted_types(path)
    if untrusted:
        raise Refused(
            f"{path.name} holds types that are not on the console's list: {', '.join(untrusted)}. It was not loaded. "
            "Train with estimators of scikit-learn, whose types are on it."
        )
    import skops.io

    return skops.io.load(path, trusted=sorted(ALLOWED))


def untrusted_types(path: Path) -> tuple[str, ...]:
    """The types in a model file that are not allowed, without loading it; Refused when it is not a skops file."""
    import skops.io

    try:
        found = skops.io.get_untrusted_types(file=path)
    except Exception as error:  # a crafted file may raise anything while it is looked at
        raise Refused(
            f"{path.name} is not a readable skops model file ({type(error).__name__}); pickles and other formats are "
            "not loaded, because they run code. Train the model here, or save it with skops.io.dump."
        ) from error
    return tuple(sorted(set(found) - ALLOWED))


def allowed_types(path: Path) -> tuple[str, ...]:
    """The types in a model file that skops would not load by itself and our list allows."""
    import skops.io

    return tuple(sorted(set(skops.io.get_untrusted_types(file=path)) & ALLOWED))


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of what a model file depends on."""
    import platform
    from importlib.metadata import version

    names = ("scikit-learn", "numpy", "scipy", "pandas", "skops", "joblib", "mlops-console")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
