"""Where a metrics store is and how it is to be asked, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backends.contract import Invalid
from backends.server_address import plain_address
from backends.server_options import seconds_option, word_option

ANSWER_S: Final = 10.0
"""How long one whole answer may take: figures that come later are of no use to who waits for them."""
OPTIONS: Final = ("tenant", "ca_file", "timeout")


def checked_address(url: str) -> str:
    """`prometheus+https://host/path` → `https://host/path`; credentials in it are refused."""
    plain = plain_address(
        url, "prometheus", what="the metrics address",
        like="a metrics store's address is like prometheus+https://prometheus.example.org (or …/prometheus for Mimir, "
        "…/select/0/prometheus for a VictoriaMetrics cluster)",
    )  # fmt: skip
    return plain.removesuffix("/api/v1")


def checked_options(options: Mapping[str, str]) -> float:
    """Seconds that an answer may take; Invalid for an option that there is not, or that is wrong."""
    for name in options:
        if name not in OPTIONS:
            raise Invalid(f"a metrics store has no option {name[:40]!r}; it has {', '.join(OPTIONS)}", name)
    word_option(options, "tenant", field="tenant")
    return seconds_option(options, "timeout", ANSWER_S, most=600, field="timeout")
