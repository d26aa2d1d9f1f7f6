"""Where the workspace's protocol server listens, and the tokens that it takes. Light to import.

`protocol.key` is the only secret at rest, readable by its owner alone. Every token is a code made with it: one for the
workspace's owner, one for each run, which nobody has to keep.
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Unreachable
from backends.entities import Record
from backends.local.process_identity import ProcessIdentity, is_alive
from backends.local.run_folder import write_whole

KEY: Final = "protocol.key"
PRESENCE: Final = "protocol.json"
OWNER: Final = "owner"


class ProtocolPresence(Record, frozen=True):
    """What the running server says of itself."""

    process: ProcessIdentity
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def presence_path(workspace: Path) -> Path:
    return workspace / PRESENCE


def write_presence(workspace: Path, presence: ProtocolPresence) -> None:
    write_whole(presence_path(workspace), msgspec.json.encode(presence))


def last_presence(workspace: Path) -> ProtocolPresence | None:
    """The server that runs, or ran last."""
    try:
        return msgspec.json.decode(presence_path(workspace).read_bytes(), type=ProtocolPresence)
    except (FileNotFoundError, msgspec.DecodeError):  # another version's file
        return None


def living_server(workspace: Path) -> ProtocolPresence | None:
    found = last_presence(workspace)
    return found if found is not None and is_alive(found.process) else None


# ---------------------------------------------------------------- tokens


def token_for(workspace: Path, run: str = "") -> str:
    """The owner's token, or that of a run."""
    name = run or OWNER
    return f"{name}.{_code(_key(workspace), name)}"


def read_token(workspace: Path, token: str) -> str | None:
    """Whose token it is: a run's id, `OWNER`, or None for nobody's."""
    name, _, code = token.partition(".")
    if not name or not hmac.compare_digest(code.encode(), _code(_key(workspace), name).encode()):
        return None
    return name


def _code(key: bytes, name: str) -> str:
    return hmac.new(key, b"mlops-console protocol " + name.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def _key(workspace: Path) -> bytes:
    """Read, or made by whoever is first."""
    path = workspace / KEY
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    draft = path.with_name(f".{KEY}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(32).hex().encode())
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first: everybody uses that one
    finally:
        draft.unlink()
    return path.read_bytes()


# ---------------------------------------------------------------- for clients


def tracking(workspace: Path, run: str = "") -> dict[str, str]:
    """The environment by which an MLflow client logs into this workspace, under a run's id where one is given."""
    found = living_server(workspace)
    if found is None:
        raise Unreachable(
            "the workspace's MLflow server is not up: its agent does not run, or has only begun. Start it with "
            "mlops-console agent start, and try again"
        )
    environment = {"MLFLOW_TRACKING_URI": found.url, "MLFLOW_TRACKING_TOKEN": token_for(workspace, run)}
    return environment | ({"MLFLOW_RUN_ID": run} if run else {})
