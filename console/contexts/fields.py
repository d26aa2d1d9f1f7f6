"""What can be said of a context that is added: the command line makes options of it, the screen a form."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Final, Literal

from backends.contract import Invalid
from backends.entities import Record
from console.config import Context
from console.contexts.made import made_context, pairs_of


class Said(Record, frozen=True, kw_only=True):
    """One thing that a person may say."""

    key: str
    """As `context_of` knows it."""
    label: str
    """In the form; empty for what it takes elsewhere: as a pair among the options of something."""
    note: str
    """What it is, for both: of a terminal's 80 columns a form has 76."""
    option: str = ""
    """On the command line; empty for what stands there by its place, or holds for all commands."""
    metavar: str = ""
    kind: Literal["text", "pairs", "count", "yes"] = "text"
    """`pairs` are NAME=VALUE: an option that repeats, one line of the form."""


MOST_APPROVALS: Final = 20
SAID: Final = (
    Said(key="name", label="name", note="A word for it: letters, digits, - and _."),
    Said(key="url", label="address", note="https://… of MLflow, oci+https://…, gto+ssh://…, or a directory."),
    Said(
        key="token_env", label="token in", option="--token-env", metavar="VARIABLE",
        note="The token is in this environment variable.",
    ),
    Said(
        key="token_file", label="or in file", option="--token-file", metavar="FILE",
        note="The token is in this file (mode 0600).",
    ),
    Said(
        key="token_command", label="or printed by", option="--token-command", metavar="COMMAND",
        note="This command prints the token.",
    ),
    Said(key="username", label="user", option="--username", note="Basic auth: the token is this user's password."),
    Said(
        key="options", label="options", option="--option", metavar="NAME=VALUE", kind="pairs",
        note="flavor=…, workspace=…, profile=…, arn=…, models=…, ca_file=…, timeout=…",
    ),
    Said(
        key="workspace", label="sidecar", option="--sidecar", metavar="DIR",
        note="Where what the server cannot keep is kept.",
    ),
    Said(
        key="metrics", label="metrics", option="--metrics", metavar="URL",
        note="Where services are measured: prometheus+https://…",
    ),
    Said(
        key="metrics_options", label="of metrics", option="--metrics-option", metavar="NAME=VALUE", kind="pairs",
        note="tenant=…, token_env=…, ca_file=…, services.NAME.kind=http, …",
    ),
    Said(
        key="launcher", label="launcher", option="--launcher", metavar="URL",
        note="Where runs go: ray+https://head:8265, slurm:, slurm+ssh://login, …",
    ),
    Said(
        key="launcher_token_env", label="", option="--launcher-token-env", metavar="VARIABLE",
        note="The launcher's token is in this variable.",
    ),
    Said(
        key="launcher_token_file", label="", option="--launcher-token-file", metavar="FILE",
        note="It is in this file (mode 0600).",
    ),
    Said(
        key="launcher_token_command", label="", option="--launcher-token-command", metavar="COMMAND",
        note="This command prints it.",
    ),
    Said(
        key="launcher_options", label="of launcher", option="--launcher-option", metavar="NAME=VALUE", kind="pairs",
        note="token_env=…, agent=…, python=…, partition=…, ca_file=…",
    ),
    Said(
        key="retention", label="retention", option="--retention", metavar="NAME=VALUE", kind="pairs",
        note='keep_deleted="30 d", max_size="50 GB", …: what goes by itself.',
    ),
    Said(
        key="capacity", label="capacity", option="--capacity", metavar="NAME=VALUE", kind="pairs",
        note='runs=2, cpu=8, memory="32 GB", gpu=1: what runs here may take.',
    ),
    Said(
        key="production", label="production", option="--production", kind="yes",
        note="A badge on every screen, typed confirmation.",
    ),
    Said(key="read_only", label="read only", kind="yes", note="Nothing is changed in it."),
    Said(
        key="approvals", label="approvals", option="--approvals", kind="count",
        note=f"People besides the asking one who must agree to a promotion, up to {MOST_APPROVALS}.",
    ),
    Said(key="note", label="note", option="--note", note="A word about it."),
)  # fmt: skip
_SECRET: Final = ("token_env", "token_file", "token_command")


def read_line(said: Said, text: str) -> Any:
    """What a line of the form means. Invalid for what cannot be meant."""
    if said.kind == "pairs":
        try:
            words = shlex.split(text)
        except ValueError as wrong:
            raise Invalid(f"{said.label}: {wrong}; a value with blanks stands in quotes", said.key) from None
        return pairs_of((word.rstrip(",") for word in words), what=said.label)
    if said.kind == "yes":
        if text not in ("", "yes", "no"):
            raise Invalid(f"{said.label}: {text[:40]!r}; yes is wanted, or nothing", said.key)
        return text == "yes"
    if said.kind == "count":
        if text and not (text.isdigit() and int(text) <= MOST_APPROVALS):
            raise Invalid(f"{said.label}: {text[:40]!r}; a number up to {MOST_APPROVALS} is wanted", said.key)
        return int(text or 0)
    return text


def context_of(values: Mapping[str, Any]) -> Context:
    """The context that values by the keys of `SAID` make: texts, pairs as mappings, numbers, yes as true. Invalid, by
    the key, for what nobody knows."""
    said = dict(values)
    name, url = said.pop("name"), said.pop("url")
    launcher = dict(said.pop("launcher_options", {}))
    said |= {f"launcher_{key}": launcher.pop(key) for key in _SECRET if key in launcher}
    metrics, measured = said.pop("metrics", ""), said.pop("metrics_options", {})
    found = {"url": metrics, **measured} if metrics or measured else {}
    made = made_context(name, url, launcher_options=launcher, metrics=found, **said)
    if found and not metrics:
        raise Invalid("options of a metrics store are given, and no store; say its address too", "metrics")
    return made
