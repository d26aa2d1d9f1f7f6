"""What every noun stands on."""

from __future__ import annotations

import msgspec

Millis = int
"""Milliseconds since the epoch, UTC."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What every noun is: immutable, keyword-only, JSON both ways."""
