"""Files of an MLflow server's runs and logged models: through its artifact proxy, kept here in a bounded folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from backends.contract import BackendError, Invalid, Mutation, NotFound, Unsupported
from backends.entities import Artifact
from backends.mlflow import decode, presigned
from backends.mlflow.bucket import Bucket
from backends.mlflow.client_room import Room
from backends.mlflow.flavours import Files
from backends.mlflow.names import ARTIFACTS

_SCHEME: Final = "mlflow-artifacts:/"
LARGEST: Final = 8 * 1024**3
KEPT: Final = 2 * 1024**3
"""Bytes of fetched files that are kept; the longest unread go first."""
_FOLDERS: Final = 200
"""Folders that a walk enters; a run with more is looked at folder by folder."""


class MlflowArtifacts:
    """`ArtifactStore` over the protocol."""

    def __init__(self, room: Room, home: Path) -> None:
        self._room = room
        self._kept = home / "fetched"
        self._roots: dict[str, str] = {}
        self._files = room.transport.flavour.files
        signer = room.transport.place.signer
        self._bucket = Bucket(signer) if signer is not None and self._files is Files.S3 else None

    # ------------------------------------------------------------ where files are

    def root(self, owner: str) -> str:
        """The address of a run's or logged model's files."""
        found = self._roots.get(owner)
        if found is None:
            if owner.startswith("m-"):
                info = self._room.transport.get(f"logged-models/{owner}").get("model", {}).get("info", {})
            else:
                info = self._room.transport.get("runs/get", {"run_id": owner}).get("run", {}).get("info", {})
            found = self._roots[owner] = str(info.get("artifact_uri", ""))
        return found

    def _proxied(self, owner: str, path: str = "") -> str:
        """The route of a file, where the server passes files on."""
        try:
            root = self.root(owner)
        except Invalid as error:  # an id of another shape than the server's
            raise NotFound(f"run {owner[:80]} is not there: {error}") from error
        if not root.startswith(_SCHEME):
            scheme = root.partition(":")[0] or "another place"
            raise Unsupported(
                f"files of {owner[:8]} lie in {scheme}, which this server does not pass on (it was started without its "
                "artifact proxy); fetch them from there, or ask its admin for --serve-artifacts"
            )
        inner = root.removeprefix(_SCHEME).strip("/")
        if inner.startswith("/") or "@" in inner.partition("/")[0]:
            inner = inner.partition("/")[2]
        return f"{ARTIFACTS}/{inner}" + (f"/{_checked(path)}" if path else "")

    # ------------------------------------------------------------ the contract

    def list(self, run: str, *, prefix: str = "") -> tuple[Artifact, ...]:
        """By walking the folders that can hold the prefix."""
        found: list[Artifact] = []
        todo = [prefix.rpartition("/")[0]]
        entered = 0
        while todo:
            entered += 1
            if entered > _FOLDERS:
                raise Unsupported(f"{run[:8]} has over {_FOLDERS} folders of files; look at them one at a time")
            for each in self.children(run, todo.pop()):
                if each.folder:
                    if each.path.startswith(prefix) or prefix.startswith(each.path):
                        todo.append(each.path)
                elif each.path.startswith(prefix):
                    found.append(each)
        return tuple(sorted(found, key=lambda each: each.path))

    def children(self, run: str, path: str = "") -> tuple[Artifact, ...]:
        if path:
            _checked(path)
        if run.startswith("m-"):
            route = f"logged-models/{run}/artifacts/directories"
            answer = self._room.transport.get(route, {"artifact_directory_path": path})
        else:
            answer = self._room.transport.get("artifacts/list", {"run_id": run, "path": path})
        found = [decode.artifact(run, each) for each in answer.get("files", ())]
        # Asked for a file, a server lists that file: it is no folder then.
        found = [each for each in found if each.path != path]
        return tuple(sorted(found, key=lambda each: (not each.folder, each.path)))

    def put(self, run: str, path: str, file: Path) -> Artifact:
        _checked(path)
        if file.is_symlink() or not file.is_file():
            raise Invalid(f"a regular file is wanted, and {file} is none; nothing was kept.", "file")
        self._send(run, path, file)
        self._room.touch()
        made = Artifact(run=run, path=path, bytes=file.stat().st_size, sha256=_digest(file))
        self._room.state.keep_digest(run, path, made.sha256)
        return made

    def open(self, run: str, path: str, *, fetched: Callable[[int], object] | None = None) -> Path:
        """Fetched anew each time: a server's file may be replaced, and nothing of ours says so."""
        folder = self._kept / hashlib.sha256(f"{run}\0{path}".encode()).hexdigest()[:32]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = folder / (Path(path).name or "file")
        _checked(path)
        try:
            self._fetch(run, path, target, fetched)
        except NotFound:
            raise NotFound(f"{run} has no artifact {path[:200]}.") from None
        except BackendError:
            if not target.is_file() or not self._room.transport.in_trouble:
                raise
            # The server is away: the last copy is better than none.
        else:
            target.chmod(0o400)
        os.utime(target)
        self._shrink()
        return target

    def _in_bucket(self, run: str) -> Bucket | None:
        return self._bucket if self._bucket is not None and not self.root(run).startswith(_SCHEME) else None

    def _fetch(self, run: str, path: str, to: Path, fetched: Callable[[int], object] | None) -> None:
        """In the way that this kind of server gives files; only what comes through the server says how far it is."""
        if bucket := self._in_bucket(run):
            bucket.fetch(self.root(run), path, to, LARGEST)
        elif self._files is Files.SIGNED:
            presigned.fetch(self._room.transport, run, path, to, LARGEST)
        else:
            route, params = self._route(run, path)
            self._room.transport.download(route, to, params=params, most=LARGEST, fetched=fetched)

    def _send(self, run: str, path: str, file: Path) -> None:
        if bucket := self._in_bucket(run):
            bucket.send(self.root(run), path, file)
        elif self._files is Files.SIGNED:
            presigned.send(self._room.transport, run, path, file)
        else:
            self._room.transport.upload(self._proxied(run, path), file)

    def _route(self, run: str, path: str) -> tuple[str, dict[str, str] | None]:
        _checked(path)
        if self.root(run).startswith(_SCHEME):
            return self._proxied(run, path), None
        if run.startswith("m-"):
            return self._proxied(run, path), None  # says why not
        return "/get-artifact", {"run_id": run, "path": path}

    def _shrink(self) -> None:
        files = [(each.stat().st_mtime, each.stat().st_size, each) for each in self._kept.glob("*/*") if each.is_file()]
        total = sum(size for _, size, _ in files)
        for _, size, each in sorted(files, key=lambda file: file[0])[:-1]:
            if total <= KEPT:
                break
            shutil.rmtree(each.parent, ignore_errors=True)
            total -= size

    def verify(self, run: str, path: str, sha256: str = "") -> bool:
        sha256 = sha256 or self._room.state.digest(run, path)
        if not sha256:
            self.open(run, path)  # NotFound where there is no such file at all
            raise Unsupported("MLflow records no sha256 of files, and none is given to compare with")
        return _digest(self.open(run, path)) == sha256

    def remove(self, run: str, path: str, mutation: Mutation) -> None:
        if self._room.state.made_before("artifact.remove", mutation) is not None:
            return
        parent = path.rpartition("/")[0]
        if not any(each.path == path for each in self.children(run, parent)):
            raise NotFound(f"{run} has no artifact {path[:200]}; nothing was removed.")
        if bucket := self._in_bucket(run):
            bucket.remove(self.root(run), path)
        elif self._files is Files.SIGNED:
            raise Unsupported("single files of a Databricks run cannot be removed; delete the run, or leave them")
        else:
            self._room.change("DELETE", self._proxied(run, path), {})
        self._room.record("artifact.remove", f"{run}/{path}", mutation)
        self._room.state.note("artifact.remove", mutation)


def _checked(path: str) -> str:
    """A relative path that cannot leave its folder."""
    parts = path.split("/")
    if (
        not path
        or path.startswith("/")
        or "\\" in path
        or any(ord(letter) < 32 or ord(letter) == 127 for letter in path)
        or any(part in ("", ".", "..") for part in parts)
        or len(path.encode("utf-8", "surrogatepass")) > 1024
        or any(len(part.encode("utf-8", "surrogatepass")) > 255 for part in parts)
    ):
        raise Invalid(f"an artifact needs a relative path within its run, and {path[:200]!r} is none.", "path")
    return path


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
