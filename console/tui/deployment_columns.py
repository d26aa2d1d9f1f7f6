"""The columns of deployments: what is served, what should be, and how it does."""

from __future__ import annotations

from backends.entities import Deployment, DeploymentState
from console.safe import safe_text
from console.serving.deployment.figures import Standing, View
from console.tui.columns import Column, Tone
from console.tui.state import state_of
from console.wording import NOTHING, figure, percent, size, traffic

ORDER = {
    DeploymentState.CRASH_LOOP: 0,
    DeploymentState.STARTING: 1,
    DeploymentState.DRAINING: 2,
    DeploymentState.SERVING: 3,
    DeploymentState.STOPPED: 4,
}
"""Of urgency."""


def word_of(deployment: Deployment) -> str:
    """One word for its state, as the screen says it."""
    return str(deployment.status.state)


def deployment_columns() -> tuple[Column[View], ...]:
    """What is wrong stays in sight on a narrow screen; cost and address give way first."""
    return (
        Column("state", "state", _state, 12, order=lambda v: ORDER[v.deployment.status.state], tone=_tone),
        Column("name", "name", lambda v: v.deployment.name, 10, grow=3, most=40, sort="name"),
        Column("serves", "serves", serves, 11, grow=3, most=44, tone=_agreement),
        Column("rate", "req/s", lambda v: figure(v.whole.rate if v.whole else None), 7, right=True, priority=1),
        Column("errors", "errors", lambda v: percent(v.whole.errors if v.whole else None), 7, right=True, priority=1,
               tone=_error_tone),
        Column("p99", "p99 ms", lambda v: figure(v.whole.p99 if v.whole else None), 7, right=True, priority=2),
        Column("p50", "p50", lambda v: figure(v.whole.p50 if v.whole else None), 6, right=True, priority=6),
        Column("p95", "p95", lambda v: figure(v.whole.p95 if v.whole else None), 6, right=True, priority=5),
        Column("split", "split", split, 12, grow=2, most=44, priority=3),
        Column("cpu", "cpu", lambda v: NOTHING if v.cpu is None else f"{v.cpu * 100:.0f} %", 6, right=True, priority=7),
        Column("memory", "memory", lambda v: size(v.rss), 7, right=True, priority=8),
        Column("url", "at", lambda v: v.deployment.status.url.removeprefix("http://") or NOTHING, 15, priority=9,
               most=40, grow=1),
    )  # fmt: skip


def _state(view: View) -> str:
    word = word_of(view.deployment)
    return f"{state_of(word).glyph} {word}"


def _tone(view: View) -> Tone:
    tone = state_of(word_of(view.deployment)).tone
    return "" if tone == "good" else tone  # type: ignore[return-value]


def serves(view: View) -> str:
    """`v7`; `v6 ≠ v7` where the alias says another; of several each under its target."""
    if not view.standings:
        return NOTHING
    if len(view.standings) == 1:
        return _served(view.standings[0])
    return "  ".join(
        _served(each) if each.target == f"v{each.served}" else f"{each.target} {_served(each)}"
        for each in view.standings
    )


def _served(standing: Standing) -> str:
    if not standing.served:
        return NOTHING
    if standing.wanted and standing.wanted != standing.served:
        return f"v{standing.served} ≠ v{standing.wanted}"
    return f"v{standing.served}"


def _agreement(view: View) -> Tone:
    return "warn" if any(each.served and not each.agrees for each in view.standings) else ""


def _error_tone(view: View) -> Tone:
    return "warn" if view.whole is not None and (view.whole.errors or 0.0) > 0 else ""


def split(view: View) -> str:
    parts = []
    for each in view.deployment.targets:
        parts.append(f"{each.label} {traffic(each)}" if len(view.deployment.targets) > 1 else each.label)
    return " · ".join(parts)


def summary(deployment: Deployment) -> str:
    """One line for dialogs: `live on 127.0.0.1:8081`."""
    at = deployment.status.url.removeprefix("http://")
    return f"{safe_text(deployment.name, 40)}{f' on {safe_text(at, 40)}' if at else ''}"
