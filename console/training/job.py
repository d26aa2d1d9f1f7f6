"""What `start_run` hands to the worker, and what the worker cannot help."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backends.entities import Record

RECIPE: Final = "recipe.toml"
"""File in the run's folder, and artifact of the run: the recipe it was started with."""


class Job(Record, frozen=True, kw_only=True):
    """What `start_run` resolved for the worker: `job.json`."""

    dataset: str
    version: str
    digest: str
    path: str
    """The dataset version's Parquet file, on the machine that it was started from."""

    @property
    def shipped(self) -> str:
        """Its name under `inputs/` of the folder where a machine of a cluster has it."""
        return f"{self.dataset}-{self.version}.parquet"

    @property
    def found(self) -> Path:
        """The file: at its path, or where it was shipped."""
        here = Path("inputs", self.shipped).absolute()
        return here if here.is_file() else Path(self.path)

    @property
    def ref(self) -> str:
        return f"{self.dataset}@{self.version}"


class EstimatorFailed(Exception):
    """The estimator itself raised: its own words are the reason."""
