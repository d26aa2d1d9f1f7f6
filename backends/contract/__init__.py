"""The verbs, as small Protocols by capability, and the family of errors that every adapter speaks.

A `Backend` is a record of the capabilities it has. A missing one is None, and `Backend.missing` says why in a sentence
that a pane shows. Adapters are plain blocking Python, safe to call from several threads at once; each call ends within
the adapter's own time limit.

Lists are pages. A page is asked for *at* a cursor:

    START            the first rows
    END              the last rows
    "#N"             from row number N, counted from 0   (only with `Features.seek`)
    "@ID"            the page that holds the row with this id (only with `Features.seek`)
    anything else    what an earlier page gave as `next` or `previous`

Every mutation carries a `Mutation` and is journaled by the backend itself: for a store with transactions in the same
one, for a remote server as an intent before and an outcome after in the sidecar.
"""

from backends.contract.backend import Backend
from backends.contract.data import DatasetStore, DefinitionStore, ReportStore
from backends.contract.deployments import DeploymentStore
from backends.contract.errors import (
    BackendError,
    Conflict,
    Invalid,
    NotFound,
    Refused,
    Unauthorized,
    Unreachable,
    Unsupported,
)
from backends.contract.features import Features
from backends.contract.journal import Journal
from backends.contract.metrics import MetricSource
from backends.contract.models import ModelRegistry
from backends.contract.monitoring import MonitorStore
from backends.contract.mutation import Mutation
from backends.contract.paging import END, START, Count, Page, T, all_pages
from backends.contract.retention import RetentionStore
from backends.contract.runs import ArtifactStore, ExperimentStore, LoggedModelStore, RunStore
from backends.contract.triggers import TriggerStore
from backends.contract.work import Engine, Launcher, RequestQueue

__all__ = [
    "END",
    "START",
    "ArtifactStore",
    "Backend",
    "BackendError",
    "Conflict",
    "Count",
    "DatasetStore",
    "DefinitionStore",
    "DeploymentStore",
    "Engine",
    "ExperimentStore",
    "Features",
    "Invalid",
    "Journal",
    "Launcher",
    "LoggedModelStore",
    "MetricSource",
    "ModelRegistry",
    "MonitorStore",
    "Mutation",
    "NotFound",
    "Page",
    "Refused",
    "ReportStore",
    "RequestQueue",
    "RetentionStore",
    "RunStore",
    "T",
    "TriggerStore",
    "Unauthorized",
    "Unreachable",
    "Unsupported",
    "all_pages",
]
