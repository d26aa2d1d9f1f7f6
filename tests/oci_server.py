"""A real container registry (Debian's docker-registry) on a free port of 127.0.0.1, with its own directory; and a small
server of tokens, as such registries send clients to."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

REGISTRY = shutil.which("docker-registry")
NO_REGISTRY = "docker-registry is not installed here (Debian and Ubuntu: apt-get install docker-registry)"
needs_registry = pytest.mark.skipif(REGISTRY is None, reason=NO_REGISTRY)

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

# bcrypt of "ann:right": a registry knows no other kind, and the library of this interpreter cannot make one.
HTPASSWD = "ann:$2b$05$"


@dataclass
class OciServer:
    """A registry that runs."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path
    config: Path
    environment: dict[str, str] = field(default_factory=dict)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def again(self) -> None:
        """The same registry once more, at the same port."""
        self.stop()
        self.process = _run(self.config, self.folder, self.url)

    # ------------------------------------------------------------ what others push

    def blob(self, repository: str, raw: bytes, media_type: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        begun = httpx.post(f"{self.url}/v2/{repository}/blobs/uploads/")
        where = httpx.URL(begun.headers["location"]).copy_add_param("digest", digest)
        assert httpx.put(where, content=raw).status_code == 201
        return {"mediaType": media_type, "digest": digest, "size": len(raw)}

    def put(self, repository: str, tag: str, manifest: dict[str, Any] | bytes, kind: str = MANIFEST) -> str:
        raw = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        answer = httpx.put(f"{self.url}/v2/{repository}/manifests/{tag}", content=raw, headers={"Content-Type": kind})
        assert answer.status_code == 201, answer.text
        return f"sha256:{hashlib.sha256(raw).hexdigest()}"

    def raw(self, repository: str, tag: str) -> bytes:
        accept = {"Accept": f"{MANIFEST}, {INDEX}"}
        answer = httpx.get(f"{self.url}/v2/{repository}/manifests/{tag}", headers=accept)
        assert answer.status_code == 200, answer.text
        return answer.content

    def tags(self, repository: str) -> list[str]:
        return sorted(httpx.get(f"{self.url}/v2/{repository}/tags/list").json()["tags"] or ())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_registry(folder: Path, *, delete: bool = True, auth: dict[str, Any] | None = None) -> OciServer:
    """`auth` is the registry's own section of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "kept")},
            "delete": {"enabled": delete},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": f"127.0.0.1:{port}", "secret": "of this test"},
    }
    if auth is not None:
        config["auth"] = auth
    path = folder / "config.yml"
    path.write_text(json.dumps(config))  # JSON is YAML
    url = f"http://127.0.0.1:{port}"
    return OciServer(url, _run(path, folder, url), folder, path)


def _run(config: Path, folder: Path, url: str) -> subprocess.Popen[bytes]:
    assert REGISTRY is not None
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([REGISTRY, "serve", str(config)], stdout=log, stderr=log)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/v2/", timeout=5).status_code in (200, 401):
                return process
        except httpx.HTTPError:
            pass
        assert process.poll() is None, (folder / "log").read_text()[-2_000:]
        time.sleep(0.05)
    process.kill()
    raise AssertionError((folder / "log").read_text()[-2_000:])


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
