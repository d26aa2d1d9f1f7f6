"""Mail over STARTTLS with a login, to a mail server on this machine with a certificate of its own making."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import socket
import socketserver
import ssl
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backends.contract import Mutation
from backends.entities import Alert, AlertEvent, AlertState, Delivery, Happening
from backends.local import open_local
from console.agent import agent_log, stop_agent
from console.alerting.channels import Channel, read_channels
from console.alerting.mail import send_mail
from console.alerting.undelivered import Undelivered
from console.cli.main import main
from tests.ports import free_port

ME = Mutation("someone@somewhere", "a test")
PASSWORD = "hush-hush-4711"


def certificate(folder: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1 that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postbox")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "postbox.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class Postbox(socketserver.ThreadingTCPServer):
    """A mail server that takes letters over TLS alone, from who knows the password (RFC 5321, 3207, 4954)."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, pem: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.letters: list[tuple[str, bytes]] = []
        """Who it was taken from, and the letter."""
        self.plain: list[bytes] = []
        """What was said before TLS."""
        super().__init__(("127.0.0.1", 0), Clerk)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Clerk(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            self.serve()
        except (OSError, ssl.SSLError):
            return  # the other side does not trust us, or has gone

    def serve(self) -> None:
        box = self.server
        assert isinstance(box, Postbox)
        connection: socket.socket = self.request
        secure, who = False, ""
        stream = connection.makefile("rb")
        connection.sendall(b"220 postbox\r\n")
        while line := stream.readline():
            if not secure:
                box.plain.append(line)
            word = line.split()[0].upper() if line.split() else b""
            answer = b"250 fine"
            if word == b"EHLO":
                answer = b"250-postbox\r\n250 AUTH PLAIN" if secure else b"250-postbox\r\n250 STARTTLS"
            elif word == b"STARTTLS":
                connection.sendall(b"220 go on\r\n")
                connection = box.context.wrap_socket(connection, server_side=True)
                stream, secure = connection.makefile("rb"), True
                continue
            elif word == b"AUTH":
                _, user, password = base64.b64decode(line.split()[2]).split(b"\0")
                if password.decode() == PASSWORD:
                    who, answer = user.decode(), b"235 known"
                else:
                    answer = b"535 no, " + password + b" is wrong"
            elif word == b"MAIL" and not who:
                answer = b"530 who are you?"
            elif word == b"DATA":
                connection.sendall(b"354 go on\r\n")
                letter = b""
                while not letter.endswith(b"\r\n.\r\n"):
                    letter += stream.readline()
                box.letters.append((who, letter))
            elif word == b"QUIT":
                answer = b"221 bye"
            connection.sendall(answer + b"\r\n")


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def box(pem: Path) -> Iterator[Postbox]:
    made = Postbox(pem)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def trusted(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))


def channel(place: str, **more: object) -> Channel:
    table = {
        "name": "mail", "kind": "email", "to": ["team@example.org"], "from": "console@example.org", "smtp": place,
        "username": "console", "secret_env": "MAIL_SECRET", "timeout": 20, **more,
    }  # fmt: skip
    (made,) = read_channels([table], Path("config.toml"))
    return made


def delivery() -> Delivery:
    alert = Alert(id="a1", monitor="live", metric="auc", state=AlertState.FIRING, opened_at=1, text="AUC is low")
    return Delivery(
        id="d1", channel="mail", happenings=(Happening(id="h", event=AlertEvent.FIRED, at=5, alert=alert),), at=5,
        due_at=5,
    )  # fmt: skip


@pytest.mark.usefixtures("trusted")
def test_the_password_goes_over_tls_alone_and_the_letter_is_taken(
    box: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_SECRET", PASSWORD)
    assert "taken by" in send_mail(channel(box.place), delivery(), "w")
    ((who, letter),) = box.letters
    assert (who, b"AUC is low" in letter) == ("console", True)
    before = b"".join(box.plain)
    assert b"STARTTLS" in before
    assert b"AUTH" not in before
    assert b"MAIL" not in before


@pytest.mark.usefixtures("trusted")
def test_a_refused_login_is_final_and_nothing_repeats_the_password(
    box: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_SECRET", "wrong-4711")
    with pytest.raises(Undelivered, match=r"refused the login of console \(535\)") as refused:
        send_mail(channel(box.place), delivery(), "w")
    assert refused.value.final
    assert "wrong-4711" not in "".join(traceback.format_exception(refused.value))
    monkeypatch.delenv("MAIL_SECRET")
    with pytest.raises(Undelivered, match=r"MAIL_SECRET, which is not set here.*where the agent runs"):
        send_mail(channel(box.place), delivery(), "w")
    assert box.letters == []


def test_a_certificate_that_nobody_vouches_for_is_refused_with_what_to_do(
    box: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_SECRET", PASSWORD)
    with pytest.raises(Undelivered, match=r"its certificate is not trusted .*SSL_CERT_FILE"):
        send_mail(channel(box.place), delivery(), "w")
    assert b"AUTH" not in b"".join(box.plain)


def test_a_server_that_is_not_there_and_one_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_SECRET", PASSWORD)
    with socket.create_server(("127.0.0.1", free_port())) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Undelivered, match=r"did not answer within 0.3 s"):
            send_mail(channel(f"127.0.0.1:{port}", timeout=0.3), delivery(), "w")
    with pytest.raises(Undelivered, match=r"cannot be reached: Connection refused"):
        send_mail(channel(f"127.0.0.1:{port}"), delivery(), "w")


@pytest.mark.usefixtures("trusted")
def test_the_whole_way_with_a_command_for_the_password_leaves_it_nowhere(
    box: Postbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD)
    (tmp_path / "config.toml").write_text(
        '[[notify]]\nname = "mail"\nkind = "email"\nto = ["team@example.org"]\nfrom = "console@example.org"\n'
        f'smtp = "{box.place}"\nusername = "console"\nsecret_command = "cat {secret}"\n'
    )
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    home = tmp_path / "w"
    try:
        assert main(["alert", "test", "mail", "--json", "--workspace", str(home)]) == 0
        assert json.loads(capsys.readouterr().out)["state"] == "sent"
        secret.write_text("wrong-4711")
        assert main(["alert", "test", "mail", "--workspace", str(home)]) != 0
        said = capsys.readouterr().err
        assert "refused the login of console (535)" in said
        backend = open_local(home)
        journal = str(backend.need("journal").page(limit=100).items)
        backend.close()
        for place in (said, agent_log(home), journal):
            assert PASSWORD not in place
            assert "wrong-4711" not in place
        assert [who for who, _ in box.letters] == ["console"]
    finally:
        stop_agent(home)
