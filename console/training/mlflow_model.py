"""The trained model as MLflow's clients know it: an MLmodel file and what it points at, beside `model.skops`.

An unmodified client loads it by its scikit-learn flavor, from the very bytes whose sha256 the console records, and
without this console: the one type of ours in a pipeline (`ModelColumns`) travels along as source, in MLflow's own
`code` folder. The console itself reads none of these files to load a model, and never puts that folder on its path.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from backends.entities import ModelFile, Signature
from backends.mlmodel import MLMODEL, OURS
from console.training import columns
from console.training.model_file import allowed_types

CODE: Final = "code"
OLDEST: Final = "3.9"
"""The first MLflow whose scikit-learn flavor reads skops files."""


def write_mlflow_model(
    folder: Path, file: ModelFile, signature: Signature, frame: pd.DataFrame, target: Any, name: str
) -> tuple[str, ...]:
    """Write `MLmodel`, `requirements.txt`, `python_env.yaml`, `conda.yaml` and `code/…` into the model's folder.

    `frame` holds the features as they were trained on, shape (n, features), and `target` what was learned, shape
    (n,), of that name: their types are the signature that MLflow enforces. Gives the names of what was written.
    """
    shipped = f"{CODE}/{columns.__name__.replace('.', '/')}.py"
    (folder / shipped).parent.mkdir(parents=True, exist_ok=True)
    # Without __init__.py: where the console is installed, its own package comes first and nothing is hidden by ours.
    shutil.copyfile(columns.__file__, folder / shipped)
    libraries = dict(file.libraries)
    python = libraries.pop("python")
    libraries.pop("mlops-console", None)
    needed = [f"mlflow>={OLDEST}", *(f"{library}=={version}" for library, version in sorted(libraries.items()))]
    written = {
        MLMODEL: _mlmodel(folder / Path(file.path).name, file, signature, _mlflow_columns(frame, target, name)),
        "requirements.txt": "\n".join(needed) + "\n",
        "python_env.yaml": f"python: {python}\nbuild_dependencies:\n- pip\n- setuptools\n- wheel\n"
        "dependencies:\n- -r requirements.txt\n",
        "conda.yaml": f"channels:\n- conda-forge\ndependencies:\n- python={python}\n- pip\n- pip:\n"
        + "".join(f"  - {each}\n" for each in needed)
        + "name: mlflow-env\n",
    }
    for path, text in written.items():
        (folder / path).write_text(text, encoding="utf-8")
    return (*written, shipped)


def _mlmodel(path: Path, file: ModelFile, signature: Signature, known: tuple[str, str]) -> str:
    """YAML, each value in JSON's spelling."""
    trusted = "".join(f"    - {json.dumps(each)}\n" for each in allowed_types(path))
    inputs, outputs = known
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return f"""flavors:
  python_function:
    code: {CODE}
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: {path.name}
    predict_fn: predict
    python_version: {file.libraries["python"]}
  sklearn:
    code: {CODE}
    pickled_model: {path.name}
    serialization_format: skops
    sklearn_version: {file.libraries["scikit-learn"]}
    skops_trusted_types:
{trusted}metadata:
  console.sha256: {file.sha256}
  {OURS}: {json.dumps(msgspec.json.encode(signature).decode())}
model_size_bytes: {file.bytes}
signature:
  inputs: {json.dumps(inputs)}
  outputs: {json.dumps(outputs)}
  params: null
utc_time_created: {json.dumps(now)}
"""


def _mlflow_columns(frame: pd.DataFrame, target: Any, name: str) -> tuple[str, str]:
    """(inputs, outputs) as MLflow spells the columns of a signature."""
    inputs = [{"type": _kind(frame[each].dtype), "name": each, "required": True} for each in frame.columns]
    outputs = [{"type": _kind(np.asarray(target).dtype), "name": name, "required": True}]
    return json.dumps(inputs), json.dumps(outputs)


def _kind(dtype: Any) -> str:
    """MLflow's word for a column of this type: of what `ModelColumns` takes there are these five."""
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        return "long"
    if pd.api.types.is_float_dtype(dtype):
        return "double"
    return "datetime" if pd.api.types.is_datetime64_any_dtype(dtype) else "string"
