"""Where a registry is and under which prefix its models lie, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from backends.contract import Invalid
from backends.oci import names
from backends.server_address import plain_address
from backends.server_options import seconds_option

ANSWER_S: Final = 30.0
"""How long one whole answer may take; of a file, how long it may stand still."""
OPTIONS: Final = ("models", "ca_file", "timeout")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_RULE: Final = "lower-case letters and digits, with single . _ or - between them, and / between parts"


class Address(NamedTuple):
    """`root` is the server, `prefix` what begins every repository's name, with a slash at its end or empty."""

    root: str
    prefix: str

    @property
    def shown(self) -> str:
        return f"{self.root}/{self.prefix}".rstrip("/")


def checked_address(url: str) -> Address:
    """`oci+https://host/team` → the server and `team/`. Invalid for credentials in it, and for plain HTTP to another
    machine: tokens would be read on the way."""
    like = "a registry's address is like oci+https://harbor.example.org/team"
    plain = plain_address(url, "oci", what="the address", like=like)
    parts = urlsplit(plain)
    if parts.scheme == "http" and (parts.hostname or "") not in _LOOPBACK:
        raise Invalid(
            f"{like}; plain http is for this machine alone (oci+http://127.0.0.1:5000/team), because a login and the "
            "models themselves could be read and changed on the way",
            "url",
        )
    prefix = parts.path.strip("/")
    if prefix and not names.REPOSITORY.fullmatch(prefix):
        raise Invalid(f"{prefix[:80]!r} begins no repository's name: that is {_RULE}; see the context's address", "url")
    return Address(f"{parts.scheme}://{parts.netloc}", f"{prefix}/" if prefix else "")


def checked_options(options: Mapping[str, str]) -> float:
    """How long an answer may take, in seconds. Invalid for an option that nobody knows."""
    unknown = next((name for name in options if name not in OPTIONS), None)
    if unknown is not None:
        raise Invalid(
            f"a registry has no option {unknown[:40]!r}; there are {', '.join(OPTIONS)}", f"options.{unknown}"
        )
    return seconds_option(options, "timeout", ANSWER_S, most=3_600, field="options.timeout")


def named_models(options: Mapping[str, str]) -> tuple[str, ...]:
    """The models that the context names, for a server that lists no repositories."""
    found = tuple(name for name in options.get("models", "").replace(",", " ").split() if name)
    for name in found:
        if not names.REPOSITORY.fullmatch(name):
            raise Invalid(f"option models names {name[:80]!r}, and a repository's name is {_RULE}", "options.models")
    return found


def check_model(prefix: str, name: str) -> str:
    """The repository of a new model. Invalid where a registry could not have one of that name."""
    if not name.strip():
        raise Invalid("a model needs a name, and it is empty; nothing was changed.", "model")
    if not names.REPOSITORY.fullmatch(name):
        raise Invalid(
            f"{name[:80]!r} cannot be a repository of an OCI registry: its name is {_RULE}; nothing was changed. Take "
            "a name like churn-model.",
            "model",
        )
    if len(prefix) + len(name) > 255:
        raise Invalid(f"the name {name[:40]}… is too long: with {prefix} it has over 255 letters; nothing was changed.")
    return f"{prefix}{name}"


def check_alias(alias: str) -> str:
    """The tag of a new alias. Invalid where it could be none, or would be taken for a version."""
    if not names.TAG.fullmatch(alias):
        raise Invalid(
            f"{alias[:80]!r} cannot be a tag of an OCI registry: letters, digits, . _ and -, at most 128, and none of "
            ". and - at the beginning; nothing was changed.",
            "alias",
        )
    if names.NUMBERED.fullmatch(alias) or names.BESIDE.fullmatch(alias) or alias.startswith(names.RECORD):
        raise Invalid(
            f"the alias {alias[:80]} would be taken for a version, or for what is kept beside one; nothing was "
            "changed. Take a word like champion.",
            "alias",
        )
    return alias
