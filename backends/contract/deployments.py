"""Where deployments are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from backends.contract.mutation import Mutation
from backends.contract.paging import START, Page
from backends.entities import Deployment, DeploymentStatus

if TYPE_CHECKING:
    from backends.query import Query


class DeploymentStore(Protocol):
    """What is to be served, and what the agent sees of it."""

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[Deployment]:
        """By name without an order."""
        ...

    def get(self, name: str) -> Deployment: ...

    def create(self, deployment: Deployment, mutation: Mutation) -> Deployment:
        """Conflict where the name is taken. Revision, times and status are the store's to say."""
        ...

    def change(self, deployment: Deployment, mutation: Mutation) -> Deployment:
        """Put this definition in place of the one whose `revision` it has, else Conflict that says who changed it and
        when. The status stays; a definition that says the same changes nothing and keeps its revision."""
        ...

    def delete(self, name: str, mutation: Mutation) -> None:
        """Refused unless it is stopped."""
        ...

    def observe(self, name: str, status: DeploymentStatus) -> bool:
        """Keep what was seen of its server; no change of the definition, and not journaled. False when it says what
        was kept already."""
        ...
