"""A real container registry (Debian's docker-registry) on a free port of 127.0.0.1, with its own directory; and a small
server of tokens, as such registries send clients to."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ports import free_port

REGISTRY = shutil.which("docker-registry")
NO_REGISTRY = "docker-registry is not installed here (Debian and Ubuntu: apt-get install docker-registry)"
ANSWER_S = 60.0
needs_registry = pytest.mark.skipif(REGISTRY is None, reason=NO_REGISTRY)

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

HTPASSWD = "ann:$2b$05$abcdefghijklmnopqrstuu8xaCxxL82bnl.UY74PMksDxIJShppPC"
"""User ann, password `right`, as bcrypt: a registry reads no other kind."""


@dataclass
class OciServer:
    """A registry that runs."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path
    config: Path

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    # ------------------------------------------------------------ what others push

    def blob(self, repository: str, raw: bytes, media_type: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        begun = httpx.post(f"{self.url}/v2/{repository}/blobs/uploads/", timeout=ANSWER_S)
        where = httpx.URL(begun.headers["location"]).copy_add_param("digest", digest)
        assert httpx.put(where, content=raw, timeout=ANSWER_S).status_code == 201
        return {"mediaType": media_type, "digest": digest, "size": len(raw)}

    def put(self, repository: str, tag: str, manifest: dict[str, Any] | bytes, kind: str = MANIFEST) -> str:
        raw = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        where, headers = f"{self.url}/v2/{repository}/manifests/{tag}", {"Content-Type": kind}
        answer = httpx.put(where, content=raw, headers=headers, timeout=ANSWER_S)
        assert answer.status_code == 201, answer.text
        return f"sha256:{hashlib.sha256(raw).hexdigest()}"

    def raw(self, repository: str, tag: str) -> bytes:
        accept = {"Accept": f"{MANIFEST}, {INDEX}"}
        answer = httpx.get(f"{self.url}/v2/{repository}/manifests/{tag}", headers=accept, timeout=ANSWER_S)
        assert answer.status_code == 200, answer.text
        return answer.content

    def tags(self, repository: str) -> list[str]:
        answer = httpx.get(f"{self.url}/v2/{repository}/tags/list", timeout=ANSWER_S)
        return sorted(answer.json()["tags"] or ())


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
    end = time.monotonic() + 180
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/v2/", timeout=10).status_code in (200, 401):
                return process
        except httpx.HTTPError:
            pass
        assert process.poll() is None, (folder / "log").read_text()[-2_000:]
        time.sleep(0.05)
    process.kill()
    raise AssertionError((folder / "log").read_text()[-2_000:])


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


# ---------------------------------------------------------------- tokens


class TokenServer:
    """Gives tokens for a registry to user ann with password `right`, each for what was asked and a short time."""

    def __init__(self, folder: Path) -> None:
        from http.server import ThreadingHTTPServer

        self.given: list[str] = []
        """Scopes, as they were asked for."""
        self.expires_in = 300
        self._key, self._certificate = _signer(folder)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        self.auth = {
            "token": {
                "realm": self.url,
                "service": "registry",
                "issuer": "tests",
                "rootcertbundle": str(folder / "certificate.pem"),
            }
        }
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)

    def token(self, scopes: list[str]) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        now = int(time.time())
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        claims = {
            "iss": "tests", "sub": "ann", "aud": "registry", "iat": now, "nbf": now - 60, "jti": str(now),
            "exp": now + self.expires_in, "access": access,
        }  # fmt: skip
        head = {"typ": "JWT", "alg": "RS256", "x5c": [self._certificate]}
        said = ".".join(_url64(json.dumps(each).encode()) for each in (head, claims))
        return f"{said}.{_url64(self._key.sign(said.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def _handler(self) -> Any:
        from http.server import BaseHTTPRequestHandler
        from urllib.parse import parse_qs, urlsplit

        tokens = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                scopes = [each for scope in asked.get("scope", []) for each in scope.split()]
                good = self.headers.get("Authorization", "") == basic("ann", "right")
                tokens.given += scopes if good else []
                said = {"token": tokens.token(scopes), "expires_in": tokens.expires_in} if good else {"errors": []}
                body = json.dumps(said).encode()
                self.send_response(200 if good else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signer(folder: Path) -> tuple[Any, str]:
    """(a key, the certificate that a registry trusts it by, in base64); `certificate.pem` is written."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return key, base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()
