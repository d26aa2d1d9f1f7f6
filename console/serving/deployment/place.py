"""Where a deployment's server keeps its files, and what it is told."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from backends.connect import place_of
from backends.contract import Backend, NotFound, Unreachable
from backends.entities import Deployment
from console.serving.spec import LogSpec, ServingSpec, Target

MARK: Final = "MLOPS_CONSOLE_DEPLOYMENT"
"""Environment variable that every process of a server inherits: its deployment's folder."""
LONGEST: Final = 96
"""Bytes that the path of a unix socket may have everywhere."""


def folder_of(home: Path, name: str) -> Path:
    """The deployment's folder in the workspace; whatever the name holds, it is one step down."""
    quoted = quote(name, safe="")
    if quoted.startswith(".") or len(quoted) > 120:
        quoted = f"%-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
    return home / "deployments" / quoted


def socket_for(folder: Path) -> Path:
    """A path for the admin socket: in the folder, or where that is too long for a socket's, in a private one."""
    path = folder / "admin.sock"
    if len(os.fsencode(path)) <= LONGEST:
        return path
    private = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp") / f"mlops-console-{os.getuid()}"  # noqa: S108
    private.mkdir(mode=0o700, exist_ok=True)
    found = private.lstat()
    if not private.is_dir() or private.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Unreachable(f"{private} is not a folder of this user alone; remove it, or set XDG_RUNTIME_DIR.")
    return private / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:24]}.sock"


def spec_of(backend: Backend, deployment: Deployment, folder: Path) -> ServingSpec:
    """What the server is told. It holds no secret: the token's file is named."""
    log = LogSpec(folder=str(folder / "log"), sample=deployment.sample, redact=deployment.redact)
    return ServingSpec(
        id=deployment.name,
        place=place_of(backend),
        context=backend.name,
        model=deployment.model,
        targets=targets_of(deployment),
        sticky_field=deployment.key,
        host=deployment.host,
        port=deployment.port,
        workers=deployment.workers,
        engine=deployment.engine,
        token_file=deployment.token_file,
        admin_socket=str(socket_for(folder)),
        log=log if deployment.log and deployment.sample else LogSpec(),
    )


def targets_of(deployment: Deployment) -> tuple[Target, ...]:
    return tuple(
        Target(alias=each.alias, version=each.version, share=each.share, shadow=each.shadow)
        for each in deployment.targets
    )


def launched_with(deployment: Deployment) -> str:
    """A digest of what a server cannot be told anew while it runs: with another one, it is another process.

    Of the deployment's fields and not of the server's spec, which a newer program may word otherwise: an upgrade ends
    no server.
    """
    kept = (deployment.sample, *deployment.redact) if deployment.log else ()
    fixed: tuple[object, ...] = (
        deployment.model, deployment.key, deployment.host, deployment.port, deployment.token_file, kept
    )  # fmt: skip
    if deployment.engine != "auto":
        fixed = (*fixed, deployment.engine)
    return hashlib.sha256(msgspec.json.encode(fixed)).hexdigest()[:16]


def segment_with(home: Path, deployments: Sequence[str], prediction: str) -> Path:
    """The finished segment of these deployments' prediction logs that holds a prediction, by its id. The newest
    segments are looked at first. NotFound where none does."""
    quoted = msgspec.json.encode(prediction)
    segments = [path for name in deployments for path in (folder_of(home, name) / "log").glob("*.jsonl")]
    for path in sorted(segments, key=lambda each: each.stat().st_mtime, reverse=True):
        with path.open("rb") as file:
            if any(quoted in line for line in file):
                return path
    raise NotFound(
        f"prediction {prediction} is in none of {len(segments)} finished log segments of "
        f"{', '.join(deployments) or 'no deployment'}; the newest are finished within seconds, the oldest are removed."
    )
