"""What was first served as a version that nobody recorded a sha256 of, so that it is not another file one day.

MLflow keeps no digest of a model's files, and whoever may write to its store may exchange them. The first bytes that a
server takes of such a version are noted beside the context's other files; different ones are refused from then on.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from backends.contract import Backend, Refused
from backends.entities import Millis, ModelVersion, Record
from console.wording import local_time


class Pin(Record, frozen=True, kw_only=True):
    """One version's first bytes."""

    sha256: str
    created_at: Millis
    """Of the version: a model that was deleted and made again has other versions of the same numbers."""
    at: Millis


def hold_to_first(backend: Backend, version: ModelVersion, sha256: str, at: Millis) -> None:
    """Note what is served, or Refused where it is not what was served first. Without a place to note it, nothing."""
    if backend.home is None:
        return
    path = pin_path(backend.home, version)
    pin = _read(path)
    if pin is None or pin.created_at != version.created_at:
        _write(path, Pin(sha256=sha256, created_at=version.created_at, at=at))
    elif pin.sha256 != sha256:
        raise Refused(
            f"{version.model} v{version.version} is not what was served first ({local_time(pin.at)}): the sha256 of "
            f"its files is {sha256[:12]}…, was {pin.sha256[:12]}…. They were exchanged after it was registered; not "
            "loaded. Register what is meant as a new version."
        )


def pin_path(home: Path, version: ModelVersion) -> Path:
    name = hashlib.sha256(f"{version.model}\0{version.version}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return home / "pins" / f"{name}.json"


def _read(path: Path) -> Pin | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Pin)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise Refused(f"{path} cannot be read ({error}); remove it to note the version's files anew") from error


def _write(path: Path, pin: Pin) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as out:
        out.write(msgspec.json.encode(pin))
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)
