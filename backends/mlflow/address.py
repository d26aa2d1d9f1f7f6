"""Where a server is and how it is to be asked, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backends.server_address import plain_address
from backends.server_options import seconds_option, word_option

ANSWER_S: Final = 30.0
"""How long one whole answer may take, the slow bytes of it included."""


def checked_address(url: str) -> str:
    """`mlflow+https://host/path` → `https://host/path`; credentials in it are refused."""
    return plain_address(
        url, "mlflow", what="the address", like="a server's address is like mlflow+https://mlflow.example.org"
    )


def patience_of(options: Mapping[str, str]) -> float:
    return seconds_option(options, "timeout", ANSWER_S, most=3_600, field="options.timeout")


def check_workspace(options: Mapping[str, str]) -> None:
    word_option(options, "workspace", field="options.workspace")
