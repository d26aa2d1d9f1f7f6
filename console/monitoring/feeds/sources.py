"""Where the rows of a monitor come from: a folder, the prediction log of a deployment, what the agent was handed."""

from __future__ import annotations

from pathlib import Path

from backends.contract import Backend
from backends.entities import Monitor
from console.monitoring.folder import monitor_folder

INBOX = "inbox"


def inbox_of(backend: Backend, monitor: str) -> Path:
    """The monitor's own folder of files that were taken for it and wait to be counted."""
    return monitor_folder(backend, monitor) / INBOX


def keeping_folders_of(backend: Backend, monitor: Monitor) -> list[Path]:
    """The folders whose files stay when they are counted: the one that a person named, and a deployment's prediction
    log, as far as that is there."""
    found = [Path(monitor.source)] if monitor.source else []
    if monitor.deployment and backend.home is not None:
        from console.serving.deployment.place import folder_of

        found.append(folder_of(backend.home, monitor.deployment) / "log")
    return [folder for folder in found if folder.is_dir() or str(folder) == monitor.source]


def folders_of(backend: Backend, monitor: Monitor) -> list[Path]:
    """The folders that a scorer watches, as far as they are there; the one that a person named always."""
    inbox = inbox_of(backend, monitor.name)
    return [*keeping_folders_of(backend, monitor), *([inbox] if inbox.is_dir() else [])]


def is_fed(backend: Backend, monitor: Monitor) -> bool:
    """Whether something arrives by itself, so that a scorer has to look."""
    if monitor.source or monitor.deployment:
        return True
    inbox = inbox_of(backend, monitor.name)
    return inbox.is_dir() and any(not each.name.startswith(".") for each in inbox.iterdir())
