"""Copying to the clipboard of the terminal that the person sits at, through SSH, tmux and screen (OSC 52)."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from console.safe import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.tui.app import ConsoleApp

LIMIT = 74_994
"""Octets of text whose base64 the common terminals still take (100 000 characters)."""

_SCREEN_CHUNK = 76
"""GNU screen drops longer device control strings."""


def sequence(text: str, environment: Mapping[str, str]) -> str:
    """What to write to the terminal. ValueError says why it cannot be done."""
    term = environment.get("TERM", "")
    if term in ("", "dumb", "linux"):
        raise ValueError(f"this terminal (TERM={term or 'unset'}) has no clipboard")
    octets = text.encode("utf-8", "surrogateescape" if _lone(text) else "strict")
    if len(octets) > LIMIT:
        raise ValueError(f"{len(octets)} bytes are more than terminals take ({LIMIT}); export with e instead")
    encoded = base64.b64encode(octets).decode("ascii")
    if "TMUX" in environment:
        # With `set-clipboard on` tmux takes the plain one, with `allow-passthrough on` it hands the wrapped one on.
        plain = f"\x1b]52;c;{encoded}\x07"
        return plain + f"\x1bPtmux;\x1b{plain}\x1b\\"
    if term.startswith("screen"):
        whole = f"\x1b]52;c;{encoded}\x07"
        parts = (whole[i : i + _SCREEN_CHUNK] for i in range(0, len(whole), _SCREEN_CHUNK))
        return "".join(f"\x1bP{part}\x1b\\" for part in parts)
    return f"\x1b]52;c;{encoded}\x07"


def _lone(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)


def copy(app: ConsoleApp, text: str) -> str:
    """Send the text to the clipboard and say so, with the value, so that it can be selected by hand as well."""
    try:
        code = sequence(text, os.environ)
    except (ValueError, UnicodeEncodeError) as problem:
        return f"not copied: {problem}. The value: {safe_text(text, 300)}"
    app.send_to_terminal(code)
    return f"copied: {safe_text(text, 200)}"
