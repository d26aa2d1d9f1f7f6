"""A backend: the capabilities it has, and why it lacks the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from backends.contract.data import DatasetStore, DefinitionStore, ReportStore
from backends.contract.deployments import DeploymentStore
from backends.contract.errors import Unsupported
from backends.contract.features import Features
from backends.contract.journal import Journal
from backends.contract.metrics import MetricSource
from backends.contract.models import ModelRegistry
from backends.contract.monitoring import MonitorStore
from backends.contract.retention import RetentionStore
from backends.contract.runs import ArtifactStore, ExperimentStore, LoggedModelStore, RunStore
from backends.contract.triggers import TriggerStore
from backends.contract.work import Launcher, RequestQueue
from backends.entities import LauncherRef


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """What a context gives: its capabilities, and the reason for each that it lacks."""

    name: str
    url: str
    features: Features
    datasets: DatasetStore | None = None
    definitions: DefinitionStore | None = None
    reports: ReportStore | None = None
    experiments: ExperimentStore | None = None
    runs: RunStore | None = None
    logged_models: LoggedModelStore | None = None
    artifacts: ArtifactStore | None = None
    registry: ModelRegistry | None = None
    journal: Journal | None = None
    monitors: MonitorStore | None = None
    deployments: DeploymentStore | None = None
    triggers: TriggerStore | None = None
    requests: RequestQueue | None = None
    launcher: Launcher | None = None
    retention: RetentionStore | None = None
    metrics: MetricSource | None = None
    """Where figures of services are read that the console does not count itself."""
    missing: dict[str, str] = {}
    """capability → why it is not there."""
    changed: Callable[[], object]
    """A cheap token that differs when anything may have changed: compare it, then ask."""
    close: Callable[[], None]
    approvals: int = 0
    """How many people besides the asking one the context wants to agree to a promotion."""
    home: Path | None = None
    """The workspace directory, where there is one."""
    tracking: Callable[[str], dict[str, str]] | None = None
    """The environment in which an MLflow client logs into this backend, under the run of this id where one is given.
    It may hold secrets: it is given to the process it is for, and kept nowhere."""
    launches_on: LauncherRef | None = None
    """The cluster that runs are launched on; None for this machine."""

    def need(self, capability: str) -> Any:
        """The capability, or Unsupported with the reason."""
        found = getattr(self, capability)
        if found is None:
            why = self.missing.get(capability, "this backend does not offer it")
            raise Unsupported(f"{capability}: not available in context {self.name}: {why}")
        return found
