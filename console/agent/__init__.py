"""The one background process of a workspace: the queue, the supervisors, the scorers."""

from __future__ import annotations

from console.agent.control import (
    AgentStatus,
    agent_log,
    agent_status,
    ensure_agent,
    ensure_protocol,
    ensure_tracking,
    stop_agent,
)

__all__ = [
    "AgentStatus",
    "agent_log",
    "agent_status",
    "ensure_agent",
    "ensure_protocol",
    "ensure_tracking",
    "stop_agent",
]
