"""How often the watch looks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from console.tui.watch import DOZING, INTERVAL, Watch


@pytest.mark.parametrize(
    ("page_limit", "idle", "dozing", "pause"),
    [
        (0, False, False, INTERVAL),
        (0, True, True, 6 * INTERVAL),
        (50, False, False, INTERVAL),
        (50, True, False, 6 * INTERVAL),
        (50, False, True, DOZING),
    ],
)
def test_a_server_is_looked_at_seldom_while_nobody_is_there(
    page_limit: int, idle: bool, dozing: bool, pause: float
) -> None:
    features = SimpleNamespace(page_limit=page_limit)
    session = SimpleNamespace(context=SimpleNamespace(name="c"), backend=SimpleNamespace(features=features))
    watch = Watch(session, lambda _: None)  # type: ignore[arg-type]
    watch.rest(idle)
    watch.doze(dozing)
    assert watch.pause == pause
