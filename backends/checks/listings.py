"""The lists of the contract: how each is asked for, how its rows are named, and what is promised of their order."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

from backends.checks.finding import Unseen
from backends.checks.listing import Listing, some, unknown
from backends.checks.look import Look
from backends.contract import Page
from backends.entities import (
    Dataset,
    DatasetVersion,
    Definition,
    Deployment,
    Experiment,
    JournalEntry,
    LoggedModel,
    Model,
    ModelVersion,
    Monitor,
    Report,
    Run,
    Trigger,
)


def a_model(look: Look) -> Model:
    """One with versions, the more the better."""
    found: list[Model] = [each for each in some(look, MODELS) if each.versions or each.latest]
    if not found:
        raise Unseen("no model has a version")
    return max(found, key=lambda model: (model.versions, bool(model.aliases)))


def a_dataset(look: Look) -> Dataset:
    found: Dataset = max(some(look, DATASETS), key=lambda each: each.versions)
    return found


def _definition_kind(look: Look) -> str:
    def ask() -> str:
        for kind in ("checks", "transform", "features"):
            if look.the("definitions").page(kind, limit=1).items:
                return kind
        return "checks"

    return look.once("kind of definitions", ask)


def _pages(capability: str) -> Callable[[Look, str, int], Page[Any]]:
    return lambda look, at, limit: look.the(capability).page(at=at, limit=limit)


def _get(capability: str, key: str) -> Callable[[Look, Any], Any]:
    return lambda look, row: look.the(capability).get(getattr(row, key))


def _lost(capability: str) -> Callable[[Look], Any]:
    return lambda look: look.the(capability).get(unknown())


RUNS: Final = Listing(
    "runs", "runs", Run,
    _pages("runs"),
    lambda run: run.id,
    by=lambda run: run.created_at, falling=True, order="the newest first",
    get=_get("runs", "id"),
    lost=(lambda look: look.the("runs").get(uuid.uuid4().hex), lambda look: look.the("runs").get("")),
    same=("id", "name", "experiment", "created_at", "params", "tags", "note"),
)  # fmt: skip
EXPERIMENTS: Final = Listing(
    "experiments", "experiments", Experiment,
    _pages("experiments"),
    lambda experiment: experiment.id,
    by=lambda experiment: experiment.updated_at, falling=True, order="the last updated first",
    get=_get("experiments", "id"),
    lost=(_lost("experiments"),),
    same=("id", "name", "created_at"),
)  # fmt: skip
LOGGED: Final = Listing(
    "logged_models", "logged models", LoggedModel,
    _pages("logged_models"),
    lambda model: model.id,
    by=lambda model: model.created_at, falling=True, order="the newest first",
    get=_get("logged_models", "id"),
    lost=(lambda look: look.the("logged_models").get(f"m-{uuid.uuid4().hex}"),),
    same=("id", "name", "experiment", "run", "created_at"),
)  # fmt: skip
MODELS: Final = Listing(
    "registry", "models", Model,
    _pages("registry"),
    lambda model: model.name,
    by=lambda model: model.name, order="by name",
    get=_get("registry", "name"),
    lost=(
        _lost("registry"),
        lambda look: look.the("registry").versions(unknown()),
        lambda look: look.the("registry").version(unknown(), "1"),
        lambda look: look.the("registry").version(unknown(), "@champion"),
        lambda look: look.the("registry").history(unknown()),
        lambda look: look.the("registry").version(a_model(look).name, f"@{unknown()}"),
        lambda look: look.the("registry").version(a_model(look).name, "999999999"),
    ),
    same=("name", "created_at", "note", "tags", "kind"),
)  # fmt: skip
VERSIONS: Final = Listing(
    "registry", "versions of a model", ModelVersion,
    lambda look, at, limit: look.the("registry").versions(a_model(look).name, at=at, limit=limit),
    lambda version: version.ref,
    by=lambda version: version.created_at, falling=True, order="the newest first",
    get=lambda look, version: look.the("registry").version(version.model, version.version),
    same=("model", "version", "created_at", "run", "note", "tags"),
)  # fmt: skip
JOURNAL: Final = Listing(
    "journal", "journal entries", JournalEntry,
    _pages("journal"),
    lambda entry: entry.id,
    by=lambda entry: entry.seq, falling=True, order="the newest first",
    get=_get("journal", "id"),
    lost=(_lost("journal"),),
    same=("seq", "id", "at", "actor", "action", "target", "reason"),
)  # fmt: skip
DATASETS: Final = Listing(
    "datasets", "datasets", Dataset,
    _pages("datasets"),
    lambda dataset: dataset.name,
    get=_get("datasets", "name"),
    lost=(
        _lost("datasets"),
        lambda look: look.the("datasets").versions(unknown()),
        lambda look: look.the("datasets").version(unknown()),
    ),
    same=("name", "created_at", "note"),
)  # fmt: skip
DATASET_VERSIONS: Final = Listing(
    "datasets", "versions of a dataset", DatasetVersion,
    lambda look, at, limit: look.the("datasets").versions(a_dataset(look).name, at=at, limit=limit),
    lambda version: f"{version.dataset}@{version.version}",
    by=lambda version: version.created_at, falling=True, order="the newest first",
    get=lambda look, version: look.the("datasets").version(f"{version.dataset}@{version.version}"),
    same=("dataset", "version", "digest", "rows", "created_at"),
)  # fmt: skip
DEFINITIONS: Final = Listing(
    "definitions", "definitions", Definition,
    lambda look, at, limit: look.the("definitions").page(_definition_kind(look), at=at, limit=limit),
    lambda definition: definition.name,
    by=lambda definition: definition.name, order="by name",
    get=lambda look, definition: look.the("definitions").get(definition.kind, definition.name),
    lost=(lambda look: look.the("definitions").get("checks", unknown()),),
    same=("kind", "name", "version", "text"),
)  # fmt: skip
REPORTS: Final = Listing(
    "reports", "reports", Report,
    _pages("reports"),
    lambda report: report.id,
    by=lambda report: report.at, falling=True, order="the newest first",
)  # fmt: skip
MONITORS: Final = Listing(
    "monitors", "monitors", Monitor,
    _pages("monitors"),
    lambda monitor: monitor.name,
    get=_get("monitors", "name"),
    lost=(_lost("monitors"),),
    same=("name", "model", "created_at"),
)  # fmt: skip
DEPLOYMENTS: Final = Listing(
    "deployments", "deployments", Deployment,
    _pages("deployments"),
    lambda deployment: deployment.name,
    by=lambda deployment: deployment.name, order="by name",
    get=_get("deployments", "name"),
    lost=(_lost("deployments"),),
    same=("name", "model", "created_at"),
)  # fmt: skip
TRIGGERS: Final = Listing(
    "triggers", "triggers", Trigger,
    _pages("triggers"),
    lambda trigger: trigger.name,
    by=lambda trigger: trigger.name, order="by name",
    get=_get("triggers", "name"),
    lost=(_lost("triggers"),),
    same=("name",),
)  # fmt: skip
LISTINGS: Final = (
    RUNS, EXPERIMENTS, LOGGED, MODELS, VERSIONS, JOURNAL, DATASETS, DATASET_VERSIONS, DEFINITIONS, REPORTS, MONITORS,
    DEPLOYMENTS, TRIGGERS,
)  # fmt: skip
