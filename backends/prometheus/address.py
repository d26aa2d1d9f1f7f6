"""Where a metrics store is and how it is to be asked, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from backends.contract import Invalid

ANSWER_S: Final = 10.0
"""How long one whole answer may take: figures that come later are of no use to who waits for them."""
OPTIONS: Final = ("tenant", "ca_file", "timeout")


def checked_address(url: str) -> str:
    """`prometheus+https://host/path` → `https://host/path`; credentials in it are refused."""
    plain = url.removeprefix("prometheus+")
    wrong = Invalid(
        "a metrics store's address is like prometheus+https://prometheus.example.org (or …/prometheus for Mimir, "
        "…/select/0/prometheus for a VictoriaMetrics cluster), and this is none",
        "url",
    )
    try:
        parts = urlsplit(plain)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise wrong
    except ValueError:  # a port that is no number, half a bracket
        raise wrong from None
    if parts.query or parts.fragment or not plain.isprintable() or " " in plain:
        raise Invalid(
            "the metrics address holds a question mark, a # or a space, which no such address does; a token in it "
            "would be seen by everybody. Give the address alone, and name the place of the secret (token_env, …)",
            "url",
        )
    if parts.username or parts.password:
        raise Invalid(
            "the metrics address holds a user or a password; name the place of the secret instead (token_env, "
            "token_file or token_command, with username)",
            "url",
        )
    return plain.rstrip("/").removesuffix("/api/v1")


def checked_options(options: Mapping[str, str]) -> float:
    """Seconds that an answer may take; Invalid for an option that there is not, or that is wrong."""
    for name in options:
        if name not in OPTIONS:
            raise Invalid(f"a metrics store has no option {name[:40]!r}; it has {', '.join(OPTIONS)}", name)
    tenant = options.get("tenant", "")
    if not (tenant.isascii() and tenant.isprintable()):
        raise Invalid(f"option tenant is a name in plain letters, and {tenant[:40]!r} is none", "tenant")
    said = options.get("timeout", "")
    try:
        found = float(said) if said else ANSWER_S
    except ValueError:
        found = 0.0
    if not 0 < found <= 600:
        raise Invalid(f"option timeout is a number of seconds up to 600, and {said[:40]!r} is none", "timeout")
    return found
