from __future__ import annotations

from pathlib import Path

from backends.entities import Alert, AlertState, Monitor
from tests.terminal.stage import add_run, add_version, by, on_stage, session, until


def add_monitor(backend, *alerts: tuple[str, str]) -> None:
    """A champion with a monitor, and one open alert for each (severity, text)."""
    version = add_version(backend, "churn", add_run(backend))
    backend.registry.set_alias("churn", "champion", version.version, expected=None, mutation=by("first"))
    backend.monitors.put(Monitor(name="churn", model="churn"), by())
    for number, (severity, text) in enumerate(alerts):
        backend.monitors.put_alert(
            Alert(
                id=f"a{number}",
                monitor="churn",
                metric=f"m{number}",
                state=AlertState.FIRING,
                opened_at=1_000 + number,
                text=text,
                severity=severity,
            )
        )


async def test_drift_warns_and_does_not_fire(tmp_path: Path) -> None:
    opened = session(tmp_path)
    add_monitor(opened.backend, ("warn", "2 features drifted"))
    async with on_stage(opened) as (app, pilot):
        text = await until(app, pilot, "◐ 1 warn")
    assert "◐ warn     churn" in text
    assert "◐ 1 warn" in text.splitlines()[0]
    assert "firing" not in text


async def test_what_fires_stands_before_what_warns(tmp_path: Path) -> None:
    opened = session(tmp_path)
    add_monitor(opened.backend, ("critical", "AUC fell"), ("warn", "2 features drifted"))
    async with on_stage(opened) as (app, pilot):
        text = await until(app, pilot, "◐ 1 warn")
    assert "▲ 1 firing" in text.splitlines()[0]
    assert "◐ 1 warn" in text.splitlines()[0]
    assert text.index("AUC fell") < text.index("2 features drifted")
