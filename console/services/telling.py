"""Services and foreign alerts in words, for the screen and the command line."""

from __future__ import annotations

from collections.abc import Mapping

from backends.entities import SourceAlert
from console.services.read import Standing
from console.wording import number

_SAID_ELSEWHERE = ("severity", "alertname")


def standing_state(item: Standing) -> str:
    """`ok` while it answers, `no data`, or `failed` where its queries do."""
    if item.newest is not None:
        return "ok"
    return "no data" if item.trouble.startswith("no data") else "failed"


def labels_text(labels: Mapping[str, str]) -> str:
    """`job=fraud instance=…`"""
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in _SAID_ELSEWHERE)


def alert_text(alert: SourceAlert) -> str:
    """Its summary, or what its labels and value say."""
    if alert.text:
        return alert.text
    value = "" if alert.value is None else f", {number(alert.value)}"
    return f"{labels_text(alert.labels)}{value}".strip(", ")
