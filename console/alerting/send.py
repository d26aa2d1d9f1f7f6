"""One try to get a delivery along its channel."""

from __future__ import annotations

from backends.entities import Delivery
from console.alerting.channels import Channel
from console.alerting.undelivered import Undelivered


def send(channel: Channel, delivery: Delivery, workspace: str) -> str:
    """What the other end said. Raises Undelivered."""
    match channel.kind:
        case "webhook":
            from console.alerting.webhook import send_webhook

            return send_webhook(channel, delivery, workspace)
        case "command":
            from console.alerting.command import send_command

            return send_command(channel, delivery, workspace)
        case "email":
            from console.alerting.mail import send_mail

            return send_mail(channel, delivery, workspace)
        case _:
            raise Undelivered(f"channel {channel.name} is for open consoles: they look by themselves", final=True)
