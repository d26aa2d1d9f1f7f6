"""The nouns, as frozen typed records.

One declaration is type, validation and JSON: `msgspec.json.encode(entity)` is what `--json` prints, and
`msgspec.json.decode(text, type=Run)` is what reads it back. Ids, names and versions are opaque strings that no pane
parses. Every time is `Millis`: whole milliseconds since 1970-01-01 UTC; screens turn it into local time.
"""

from backends.entities.data import Column, ColumnType, Dataset, DatasetInput, DatasetVersion, Definition
from backends.entities.deployments import (
    Deployment,
    DeploymentState,
    DeploymentStatus,
    DeploymentWish,
    Guard,
    Served,
    Target,
)
from backends.entities.journal import JournalEntry, Outcome
from backends.entities.models import AliasChange, AliasMove, Model, ModelFile, ModelVersion, Package, Signature
from backends.entities.monitoring import (
    Alert,
    AlertState,
    ColumnScore,
    Estimate,
    Monitor,
    MonitorState,
    Segment,
    Window,
)
from backends.entities.record import Millis, Record
from backends.entities.reports import CheckResult, GateResult, GateStatus, Report
from backends.entities.requests import (
    Capacity,
    LaunchSpec,
    Needs,
    QueuePause,
    Request,
    RequestState,
    RunQueue,
    WaitingRun,
)
from backends.entities.runs import (
    Artifact,
    Experiment,
    LogChunk,
    LoggedMetric,
    LoggedModel,
    MetricBucket,
    MetricPoint,
    MetricSeries,
    ModelOutput,
    Progress,
    Run,
    RunStatus,
    Source,
)

__all__ = [
    "Alert",
    "AlertState",
    "AliasChange",
    "AliasMove",
    "Artifact",
    "Capacity",
    "CheckResult",
    "Column",
    "ColumnScore",
    "ColumnType",
    "Dataset",
    "DatasetInput",
    "DatasetVersion",
    "Definition",
    "Deployment",
    "DeploymentState",
    "DeploymentStatus",
    "DeploymentWish",
    "Estimate",
    "Experiment",
    "GateResult",
    "GateStatus",
    "Guard",
    "JournalEntry",
    "LaunchSpec",
    "LogChunk",
    "LoggedMetric",
    "LoggedModel",
    "MetricBucket",
    "MetricPoint",
    "MetricSeries",
    "Millis",
    "Model",
    "ModelFile",
    "ModelOutput",
    "ModelVersion",
    "Monitor",
    "MonitorState",
    "Needs",
    "Outcome",
    "Package",
    "Progress",
    "QueuePause",
    "Record",
    "Report",
    "Request",
    "RequestState",
    "Run",
    "RunQueue",
    "RunStatus",
    "Segment",
    "Served",
    "Signature",
    "Source",
    "Target",
    "WaitingRun",
    "Window",
]
