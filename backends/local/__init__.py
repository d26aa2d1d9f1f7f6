"""The embedded default: one SQLite file, an object store and supervised subprocesses, in one directory."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.contract import Backend

DATABASE = "console.db"


def open_local(workspace: Path, *, create: bool = True, name: str = "local") -> Backend:
    """The backend of a workspace directory; a new one is laid out with mode 0700, unless `create` is False."""
    from backends.contract import Backend, Features
    from backends.local.artifacts import LocalArtifacts
    from backends.local.database import Database
    from backends.local.datasets import LocalDatasets
    from backends.local.definitions import LocalDefinitions
    from backends.local.deployments import LocalDeployments
    from backends.local.experiments import LocalExperiments
    from backends.local.journal import LocalJournal
    from backends.local.launcher import LocalLauncher
    from backends.local.logged_models import LocalLoggedModels
    from backends.local.monitors import LocalMonitors
    from backends.local.objects import ObjectStore
    from backends.local.protocol_access import tracking
    from backends.local.registry import LocalRegistry
    from backends.local.reports import LocalReports
    from backends.local.requests import LocalRequests
    from backends.local.retention import LocalRetention
    from backends.local.runs import LocalRuns
    from backends.local.triggers import LocalTriggers

    home = workspace.expanduser().absolute()
    database = Database(home / DATABASE, create=create)
    objects = ObjectStore(home)
    runs = LocalRuns(database)
    requests = LocalRequests(database)
    journal = LocalJournal(database)
    return Backend(
        name=name,
        url=f"local:{home}",
        features=Features(
            seek=True,
            own_ids=True,
            any_keys=True,
            whole_series=True,
            count=True,
            server_sort=True,
            compare_and_set=True,
            actor=True,
            history=True,
            delete=True,
            metric_history=True,
        ),
        datasets=LocalDatasets(database, objects),
        definitions=LocalDefinitions(database),
        reports=LocalReports(database),
        experiments=LocalExperiments(database),
        runs=runs,
        logged_models=LocalLoggedModels(database),
        artifacts=LocalArtifacts(database, objects),
        registry=LocalRegistry(database),
        journal=journal,
        monitors=LocalMonitors(database),
        deployments=LocalDeployments(database),
        triggers=LocalTriggers(database),
        requests=requests,
        launcher=LocalLauncher(home, runs, requests, journal),
        retention=LocalRetention(database, objects, home),
        changed=database.changed,
        close=database.close,
        home=home,
        tracking=partial(tracking, home),
    )
