"""The panes there are. Each module is imported when its pane is first opened."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from console.tui.pane import Pane


class PaneSpec(NamedTuple):
    """A pane's place in the frame."""

    id: str
    """Also its word in the command bar."""
    title: str
    key: str
    source: str
    """`module:class` under console.tui.panes."""
    capability: str = ""
    """What the backend must have for it to show anything."""

    def load(self) -> type[Pane]:
        module, _, name = self.source.partition(":")
        return getattr(import_module(f"{__name__}.{module}"), name)  # type: ignore[no-any-return]


PANES: tuple[PaneSpec, ...] = (
    PaneSpec("overview", "Overview", "1", "overview:OverviewPane"),
    PaneSpec("datasets", "Datasets", "2", "datasets:DatasetsPane", "datasets"),
    PaneSpec("runs", "Runs", "3", "sweeping:SweepingRunsPane", "runs"),
    PaneSpec("models", "Models", "4", "models:ModelsPane", "registry"),
    PaneSpec("monitor", "Monitor", "5", "monitor:MonitorPane", "monitors"),
    PaneSpec("deployments", "Deployments", "6", "deployments:DeploymentsPane", "deployments"),
    PaneSpec("journal", "Journal", "7", "journal:JournalPane", "journal"),
)

BY_ID: dict[str, PaneSpec] = {spec.id: spec for spec in PANES}
