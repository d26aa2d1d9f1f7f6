"""One prefix of a real container registry behind a proxy that can fail, and consoles with a sidecar each."""

from __future__ import annotations

import io
import json
import tarfile
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from backends.connect import connect
from backends.contract import (
    Backend,
    Mutation,
)
from backends.entities import ModelFile, RunStatus, Signature
from tests import fault_proxy as faults
from tests.fault_proxy import FaultProxy
from tests.oci_server import ANSWER_S, MANIFEST, OciServer

ANN = Mutation("ann@box", reason="better")
BOB = Mutation("bob@other", reason="mine is better still")
KIT = "application/vnd.kitops.modelkit"


class World:
    """One prefix of the registry, and consoles with a sidecar each."""

    def __init__(self, server: OciServer, proxy: FaultProxy, folder: Path) -> None:
        self.server, self.proxy, self.folder = server, proxy, folder
        self.prefix = f"t{uuid.uuid4().hex[:20]}"
        self._open: list[Backend] = []

    def console(self, sidecar: str = "ann", *, behind: bool = False, **options: str) -> Backend:
        """`behind` the proxy. Each call is a console of its own, as a new process would be."""
        url = f"oci+{self.proxy.url if behind else self.server.url}/{self.prefix}"
        made = connect("team", url, sidecar=self.folder / sidecar, options=options)
        self._open.append(made)
        return made

    def close(self) -> None:
        self.proxy.calm()
        for each in self._open:
            each.close()


@contextmanager
def oci_world(server: OciServer, folder: Path) -> Iterator[World]:
    with FaultProxy(server.url) as proxy:
        made = World(server, proxy, folder)
        yield made
        made.close()


def register(backend: Backend, folder: Path, content: bytes | Path, key: str = "", model: str = "churn") -> str:
    """A version with a file that nobody can load; its number."""
    runs = backend.need("runs")
    run = runs.create(name="trained", mutation=ANN).id
    runs.start(run)
    runs.end(run, RunStatus.FINISHED, exit_code=0)
    file = content if isinstance(content, Path) else folder / f"{uuid.uuid4().hex}.skops"
    if isinstance(content, bytes):
        file.write_bytes(content)
    kept = backend.need("artifacts").put(run, "model/model.skops", file)
    made = ModelFile(sha256=kept.sha256, bytes=kept.bytes, format="skops", path="model/model.skops")
    said = Mutation("ann@box", reason="better", key=key)
    version = backend.need("registry").register(model, run=run, file=made, signature=Signature(), mutation=said)
    return str(version.version)


def story(backend: Backend, alias: str = "champion") -> list[tuple[str | None, str | None, str]]:
    """(from, to, by whom), newest first."""
    moves = backend.need("registry").history("churn", alias=alias)
    return [(move.previous, move.version, move.actor) for move in moves]


def archive(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("model/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return made.getvalue()


def kit(server: OciServer, repository: str, tags: Iterable[str], files: dict[str, bytes], path: str) -> str:
    """As `kit pack` and `kit push` leave a ModelKit: no mediaType, no annotation but the program's own."""
    layer = server.blob(repository, archive(files), f"{KIT}.model.v1.tar+gzip")
    config = {
        "manifestVersion": "1.0.0",
        "package": {"name": "churn", "version": "1.2.0", "description": "who leaves", "authors": ["Cem"]},
        "model": {
            "name": "churn", "path": path, "framework": "scikit-learn", "license": "Apache-2.0",
            "parameters": {"lr": 0.1, "deep": {"a": 1}}, "digest": layer["digest"],
        },
    }  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "config": server.blob(repository, json.dumps(config).encode(), f"{KIT}.config.v1+json"),
        "layers": [layer],
        "annotations": {"ml.kitops.modelkit.cli-version": "1.7.0"},
    }
    return next(iter([server.put(repository, tag, manifest) for tag in tags]))


def comparing(world: World) -> faults.Fault:
    """A server that looks at If-Match and If-None-Match, as the next generation of registries does."""
    alone = threading.Lock()

    def fault(asked: faults.Asked, forward: faults.Forward) -> Iterator[bytes]:
        wanted = asked.headers.get("if-match", "").strip('"')
        with alone:
            there = httpx.head(f"{world.server.url}{asked.path}", headers={"Accept": MANIFEST}, timeout=ANSWER_S)
            at = there.headers.get("docker-content-digest", "") if there.status_code == 200 else ""
            if (wanted and wanted != at) or (asked.headers.get("if-none-match") == "*" and at):
                yield faults.raw(412, b"{}")
            else:
                yield forward()

    return fault
