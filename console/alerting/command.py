"""Hand a delivery to a command: JSON on its standard input, no shell, an end by the clock."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import msgspec

from backends.entities import Delivery
from console.alerting.channels import Channel
from console.alerting.message import payload, subject
from console.alerting.undelivered import Undelivered
from console.safe import safe_text


def send_command(channel: Channel, delivery: Delivery, workspace: str) -> str:
    """The last thing that it wrote. Raises Undelivered where it cannot be run, fails or takes too long."""
    words = [str(Path(channel.argv[0]).expanduser()), *channel.argv[1:]]
    first = delivery.happenings[0]
    environment = os.environ | {
        "MLOPS_DELIVERY": delivery.id,
        "MLOPS_EVENT": str(first.event),
        "MLOPS_ALERT": first.alert.id,
        "MLOPS_MONITOR": first.alert.monitor.replace("\0", ""),
        "MLOPS_SEVERITY": first.alert.severity.replace("\0", ""),
        "MLOPS_SUBJECT": subject(delivery),
    }
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # so that its children end with it
        )
    except OSError as error:
        raise Undelivered(
            f"{words[0]} cannot be run: {error.strerror}", final=isinstance(error, FileNotFoundError)
        ) from error
    try:
        out, _ = process.communicate(msgspec.json.encode(payload(delivery, workspace)), timeout=channel.timeout)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        raise Undelivered(f"{words[0]} took longer than {channel.timeout:g} s and was ended") from None
    lines = out.decode("utf-8", "replace").strip().splitlines()
    said = safe_text(lines[-1] if lines else "", 200)
    if process.returncode:
        raise Undelivered(f"{words[0]} ended with {process.returncode}{f': {said}' if said else ''}")
    return f"exit 0{f': {said}' if said else ''}"
