"""Files of runs and versions, listed and saved."""

from __future__ import annotations

from pathlib import Path

from backends.entities import Artifact
from console.cli.follow import ProgressLine
from console.cli.output import Col, narrate
from console.cli.verb import Invocation
from console.wording import plural, size

ARTIFACT_COLUMNS: list[Col[Artifact]] = [
    Col("path", lambda item: item.path + ("/" if item.folder else ""), widest=80),
    Col("size", lambda item: "" if item.folder else size(item.bytes), right=True),
    Col("sha256", lambda item: item.sha256[:12]),
]


def save(invocation: Invocation, owner: str, path: str, target: Path) -> None:
    """Copy a file or folder to the target, with a progress line on a terminal."""
    from console.training.download import download

    with ProgressLine() as line:
        files, total = download(invocation.backend, owner, path, target, line.follow)
    invocation.show(
        {"file": str(target.absolute()), "files": files, "bytes": total},
        lambda: narrate(f"{target}: {plural(files, 'file')}, {size(total)}"),
    )
