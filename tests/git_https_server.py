"""Git's own server (git http-backend) behind HTTPS on 127.0.0.1, that lets users in by password."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.ports import free_port

BACKEND = Path(subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip())
_LONGEST = 64 * 1024 * 1024


class GitServer:
    """`users` are names and passwords; without any, nobody is asked. `readers` may fetch and not push."""

    def __init__(self, folder: Path, users: dict[str, str], *, readers: tuple[str, ...] = ()) -> None:
        self.folder, self.users, self.readers = folder, users, readers
        self.asked: list[str] = []
        """`user METHOD path`, of each that was let in; of others `? METHOD path`."""
        self.while_asked: Callable[[], None] | None = None
        """Called while a client waits for an answer."""
        self.certificate = folder / "certificate.pem"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*_certificate(folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """From then on connections are refused."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)

    def _user(self, header: str) -> str | None:
        if not self.users:
            return "anybody"
        try:
            name, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        except ValueError:
            return None
        return name if self.users.get(name) == password else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self._body()
                user = server._user(self.headers.get("Authorization", ""))
                server.asked.append(f"{user or '?'} {self.command} {self.path}")
                if user is None:
                    self._say(401, b"", {"WWW-Authenticate": 'Basic realm="git"'})
                elif "receive-pack" in self.path and user in server.readers:
                    self._say(403, b"you may read here\n", {"Content-Type": "text/plain"})
                else:
                    if server.while_asked is not None:
                        server.while_asked()
                    self._git(user, body)

            do_POST = do_GET

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(min(int(self.headers.get("Content-Length") or 0), _LONGEST))
                found = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    found += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return found

            def _git(self, user: str, body: bytes) -> None:
                path, _, query = self.path.partition("?")
                said = {
                    "GIT_PROJECT_ROOT": str(server.folder), "GIT_HTTP_EXPORT_ALL": "1", "REMOTE_USER": user,
                    "REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": query,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "PATH": os.environ["PATH"],
                }  # fmt: skip
                done = subprocess.run(
                    [BACKEND / "git-http-backend"], input=body, env=said, capture_output=True, timeout=60, check=False
                )
                head, _, answer = done.stdout.partition(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
                code = int(headers.pop("Status", "200").split()[0])
                self._say(code, answer, headers)

            def _say(self, code: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def git_server(folder: Path, users: dict[str, str], *, readers: tuple[str, ...] = ()) -> Iterator[GitServer]:
    """With an empty repository `models.git`."""
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--bare", folder / "models.git"], check=True)
    server = GitServer(folder, users, readers=readers)
    try:
        yield server
    finally:
        server.stop()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """(a certificate of 127.0.0.1 that signs itself, its key)."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
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
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    certificate, kept = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    kept.write_bytes(secret)
    return certificate, kept
