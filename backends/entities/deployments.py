"""What is to be served, and what was seen of it."""

from __future__ import annotations

from enum import StrEnum

from backends.entities.record import Millis, Record


class DeploymentWish(StrEnum):
    """What a deployment is to be."""

    SERVING = "serving"
    STOPPED = "stopped"


class DeploymentState(StrEnum):
    """What a deployment is."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    """It takes no new requests and answers those it has."""
    STOPPED = "stopped"
    CRASH_LOOP = "crash loop"
    """Its server ended again and again; it is tried again, ever more seldom."""


class Target(Record, frozen=True, kw_only=True):
    """One of the versions that a deployment answers with: the one an alias names, or a fixed one."""

    alias: str = ""
    version: str = ""
    share: float = 1.0
    """Of the requests, 0 to 1. The shares of those that are no shadows come to 1; of a shadow it says nothing."""
    shadow: bool = False
    """It is asked besides, and its answer goes to nobody."""

    @property
    def label(self) -> str:
        """`champion`, or `v7`."""
        return self.alias or f"v{self.version}"


class Guard(Record, frozen=True, kw_only=True):
    """When a deployment takes the traffic away from a version that does worse than the first target.

    A rule fires where the difference is larger than its effect *and* chance is an unlikely cause (`alpha` over all
    looks together). 0 for an effect turns its rule off.
    """

    alpha: float = 0.01
    """Probability with which versions that do alike are taken apart, over the whole course."""
    errors: float = 0.01
    """Increase of the share of failed requests, 0 to 1."""
    slow: float = 0.10
    """Increase of the share of requests slower than the first target's p95 and than 1 ms, 0 to 1."""
    drift: float = 0.25
    """Population stability index between the scores."""
    requests: int = 100
    """Fewer answers of either version are not judged."""


class Served(Record, frozen=True, kw_only=True):
    """What a server says of one target."""

    target: str
    """`Target.label`."""
    version: str
    """Which version answers; empty for none."""
    digest: str = ""
    since: Millis = 0
    trouble: str = ""
    """Why it is not the one that is wanted; empty where it is."""


class DeploymentStatus(Record, frozen=True, kw_only=True):
    """What the agent last saw of a deployment's server."""

    state: DeploymentState = DeploymentState.STOPPED
    since: Millis | None = None
    """Since when it is in this state."""
    url: str = ""
    pid: int | None = None
    served: tuple[Served, ...] = ()
    revision: int = 0
    """Of the definition that the server was last given."""
    restarts: int = 0
    """How often it ended by itself since it was last wanted."""
    reason: str = ""
    """What is wrong, in one line; empty when nothing is."""
    tail: tuple[str, ...] = ()
    """The last lines of its log, where it ended by itself."""


class Deployment(Record, frozen=True, kw_only=True):
    """A model that is to be served, and how. What is served is another matter: `status`."""

    name: str
    model: str
    targets: tuple[Target, ...] = (Target(alias="champion"),)
    """The first is the one that others are held against."""
    key: str = ""
    """Column whose value decides which target answers, so that the same customer meets the same version."""
    workers: int = 1
    host: str = "127.0.0.1"
    port: int = 0
    """0 for any that is free."""
    token_file: str = ""
    """Path of a file of mode 0600 with the token that callers send; empty for no token. Never the token itself."""
    log: bool = True
    """Keep predictions."""
    sample: float = 1.0
    """Share of the predictions that are kept, 0 to 1."""
    redact: tuple[str, ...] = ()
    """Columns whose values are not kept."""
    engine: str = "auto"
    """What computes answers: `onnx`, `sklearn`, or `auto` for the quicker one that a version has."""
    guard: Guard | None = None
    """None where a worse version is left to people."""
    halted: str = ""
    """What the guard last did, until the split is changed."""
    desired: DeploymentWish = DeploymentWish.SERVING
    note: str = ""
    revision: int = 0
    """Counts the changes of the definition: what compare-and-set compares."""
    created_at: Millis = 0
    created_by: str = ""
    changed_at: Millis = 0
    status: DeploymentStatus = DeploymentStatus()

    @property
    def health(self) -> str:
        """`ok`, `warn`, `failed`, or `` where nothing can be said: one word for what is wanted and what is."""
        if self.status.state is DeploymentState.CRASH_LOOP:
            return "failed"
        if self.desired is DeploymentWish.STOPPED or self.status.state is not DeploymentState.SERVING:
            return ""
        return "warn" if self.status.reason or self.halted or any(s.trouble for s in self.status.served) else "ok"
