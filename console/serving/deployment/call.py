"""A command line that asks a deployment, to be pasted into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from backends.entities import Column, ColumnType, Deployment

_EXAMPLES: Final[dict[ColumnType, Any]] = {
    ColumnType.INT: 1,
    ColumnType.FLOAT: 1.5,
    ColumnType.BOOL: True,
    ColumnType.STRING: "text",
    ColumnType.DATETIME: "2026-01-31T12:00:00",
    ColumnType.DATE: "2026-01-31",
}


def curl(deployment: Deployment, inputs: Sequence[Column]) -> str:
    """`curl …` with one row of made-up values in the model's columns. The token is read from its file, so that it is
    not in the shell's history; empty where the deployment has no address."""
    url = deployment.status.url
    if not url:
        return ""
    row = {column.name: _EXAMPLES.get(column.type, 1.5) for column in inputs}
    if deployment.key and deployment.key not in row:
        row[deployment.key] = "text"
    body = msgspec.json.encode({"dataframe_records": [row]}).decode()
    token = ""
    if deployment.token_file:
        token = f' -H "Authorization: Bearer $(cat {shlex.quote(deployment.token_file)})"'
    where = shlex.quote(f"{url}/invocations")
    return f"curl -sS{token} -H 'Content-Type: application/json' -d {shlex.quote(body)} {where}"
