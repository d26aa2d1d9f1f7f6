"""Answering alerts."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from backends.entities import Alert
from console.monitoring.ack import ack_alert
from console.safe import safe_text
from console.tui.dialogs import Confirm, sentences

if TYPE_CHECKING:
    from console.tui.here import Here


async def acknowledge(here: Here) -> None:
    """The alert stays open until its metric recovers; acknowledged ones no longer call for anybody."""
    alert = here.selected
    assert isinstance(alert, Alert)  # noqa: S101 or the action were not available
    assert here.session is not None  # noqa: S101
    session = here.session
    yes = await here.app.ask(
        Confirm(
            f"Acknowledge: {safe_text(alert.monitor, 40)}",
            [*sentences(alert.text), *sentences("It stays listed until it is resolved, with your name beside it.")],
            "acknowledge",
            reason=True,
        )
    )
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    await here.app.carry_out(lambda: ack_alert(session.backend, alert.id, mutation))
    here.app.tell(f"{alert.monitor}: acknowledged")
