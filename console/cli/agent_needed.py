"""What a command needs of the workspace's agent."""

from __future__ import annotations

from console.cli.verb import Invocation


def wake_agent(invocation: Invocation) -> None:
    """The agent takes what is queued. It is needed where the embedded store runs things, and nowhere else."""
    if invocation.session.workspace is None:
        return
    from console.agent import ensure_agent

    ensure_agent(invocation.session.workspace)


def ready_to_track(invocation: Invocation) -> None:
    """The agent runs, and serves the protocol where it is what commands log to."""
    from console.agent import ensure_tracking

    ensure_tracking(invocation.home())
