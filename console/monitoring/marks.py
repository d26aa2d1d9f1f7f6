"""What happened along a stretch of time: versions that took over, promotions, deployments, alerts, a service that
changed. Plain records."""

from __future__ import annotations

from enum import StrEnum

from backends.entities import Millis, Record


class Happened(StrEnum):
    VERSION = "version"
    PROMOTION = "promotion"
    DEPLOY = "deploy"
    ALERT = "alert"
    ONSET = "onset"
    SERVICE = "service"


class Mark(Record, frozen=True):
    """One thing at one time."""

    at: Millis
    what: Happened
    text: str
    """A few words: `v3 takes over`, `alert AUC`."""
