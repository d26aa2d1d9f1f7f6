"""Options that every server spoken to over HTTP takes in a context: how long to wait, whose certificates to trust."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from backends.contract import Invalid

if TYPE_CHECKING:
    import ssl


def seconds_option(options: Mapping[str, str], name: str, default: float, *, most: float, field: str) -> float:
    """The seconds that an option says, above 0 and up to `most`. Invalid, naming `field`, for anything else."""
    said = options.get(name, "")
    try:
        found = float(said) if said else default
    except ValueError:
        found = 0.0
    if not 0 < found <= most:
        raise Invalid(f"option {name} is a number of seconds up to {most:g}, and {said[:40]!r} is none", field)
    return found


def word_option(options: Mapping[str, str], name: str, *, field: str) -> str:
    """What an option says that is sent in a header; empty where it is not given. Invalid, naming `field`, for what no
    header carries."""
    said = options.get(name, "")
    if not (said.isascii() and said.isprintable()):
        raise Invalid(f"option {name} is a name in plain letters, and {said[:40]!r} is none", field)
    return said


def trusted(options: Mapping[str, str], *, field: str) -> ssl.SSLContext | bool:
    """What option `ca_file` says is trusted, as httpx's `verify`; without it what the machine trusts. Invalid, naming
    `field`, for a file that cannot be read or holds no certificates."""
    ca_file = options.get("ca_file", "")
    if not ca_file:
        return True
    import ssl

    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        why = "it holds no certificates" if isinstance(error, ssl.SSLError) else getattr(error, "strerror", error)
        raise Invalid(f"the certificates of {ca_file} cannot be read: {why}; see option ca_file", field) from None
