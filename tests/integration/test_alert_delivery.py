"""An alert gets to people: through the real outbox, the real agent, and a real server, command or mail server."""

from __future__ import annotations

import hashlib
import hmac
import json
import socketserver
import stat
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from backends.contract import Backend, Mutation
from backends.entities import Alert, AlertState, DeliveryState, Monitor, Mute
from backends.local import open_local
from console.agent import agent_log, ensure_agent, stop_agent
from tests.processes import gone

ME = Mutation("someone@somewhere", "a test")
SECRET = "a-secret-for-signing"


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


class Hook:
    """A web server that keeps what it was sent, and answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.hold = threading.Event()
        self.hold.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.got.append((dict(self.headers), body))
                hook.hold.wait(240)
                try:
                    self.send_response(hook.answers.pop(0) if hook.answers else 200)
                    self.end_headers()
                    self.wfile.write(b"taken \x1b[31mgladly")
                except OSError:
                    return  # who called was killed

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/services/T0/SECRETPATH"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.hold.set()
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    backend = open_local(tmp_path)
    backend.need("monitors").put(Monitor(name="live", model="churn"), ME)
    yield backend
    stop_agent(tmp_path)
    backend.close()


def channels(folder: Path, text: str) -> None:
    (folder / "config.toml").write_text(text)


def webhook(folder: Path, hook: Hook, more: str = "") -> None:
    channels(
        folder,
        f'[[notify]]\nname = "ops"\nkind = "webhook"\nurl = "{hook.url}"\n'
        f'secret_env = "HOOK_SECRET"\nwait = 0.2\n{more}',
    )


def alert(name: str = "a1", **more: object) -> Alert:
    whole = {"metric": "auc", "state": AlertState.FIRING, "severity": "critical", **more}
    return Alert(id=name, monitor="live", opened_at=1, text="AUC is low <@all>", **whole)


def sent(backend: Backend, channel: str = "ops") -> list[Any]:
    return [each for each in backend.need("monitors").deliveries() if each.channel == channel]


def settled(backend: Backend, count: int = 1, channel: str = "ops") -> list[Any]:
    wait_for(lambda: sum(each.state is not DeliveryState.WAITING for each in sent(backend, channel)) >= count)
    return sent(backend, channel)


def test_a_webhook_is_signed_tried_again_and_told_of_the_end(backend: Backend, tmp_path: Path, hook: Hook) -> None:
    webhook(tmp_path, hook)
    hook.answers = [503, 500]
    ensure_agent(tmp_path)
    backend.need("monitors").put_alert(alert())
    (delivery,) = settled(backend)
    assert (delivery.state, delivery.attempts) == (DeliveryState.SENT, 3)
    assert delivery.said.startswith("200 OK: taken ")
    assert "\x1b" not in delivery.said
    assert {each["id"] for each in hook.bodies()} == {delivery.id}
    headers, body = hook.got[-1]
    stamp = headers["X-Mlops-Console-Timestamp"]
    good = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Mlops-Console-Signature"] == f"v1={good}"
    told = json.loads(body)
    assert (told["alerts"][0]["event"], told["alerts"][0]["severity"]) == ("fired", "critical")
    assert "&lt;@all&gt;" in told["text"]
    backend.need("monitors").put_alert(alert(state=AlertState.RESOLVED, resolved_at=5))
    settled(backend, 2)
    assert hook.bodies()[-1]["alerts"][0]["event"] == "resolved"
    log = agent_log(tmp_path)
    assert "503" in log
    assert SECRET not in log
    assert "SECRETPATH" not in log


def test_what_is_refused_for_good_or_too_often_is_given_up_and_said(
    backend: Backend, tmp_path: Path, hook: Hook
) -> None:
    webhook(tmp_path, hook, "attempts = 2\n")
    hook.answers = [404, 500, 500]
    ensure_agent(tmp_path)
    backend.need("monitors").put_alert(alert("a1"))
    (refused,) = settled(backend)
    assert (refused.state, refused.attempts) == (DeliveryState.FAILED, 1)
    assert "404" in refused.said
    backend.need("monitors").put_alert(alert("a2"))
    tired = settled(backend, 2)[-1]
    assert (tired.state, tired.attempts) == (DeliveryState.FAILED, 2)
    assert "given up after 2 tries" in tired.said
    entry = backend.need("journal").page().items[0]
    assert (entry.action, entry.target, str(entry.outcome)) == ("alert.deliver", "ops", "failed")
    assert "SECRETPATH" not in entry.detail


def test_an_agent_killed_before_it_noted_down_sends_again_under_the_same_id(
    backend: Backend, tmp_path: Path, hook: Hook
) -> None:
    webhook(tmp_path, hook)
    hook.hold.clear()
    first = ensure_agent(tmp_path)
    backend.need("monitors").put_alert(alert())
    wait_for(lambda: len(hook.got) == 1)
    assert first.pid is not None
    agent = psutil.Process(first.pid)
    agent.kill()
    wait_for(lambda: gone(agent))
    hook.hold.set()
    assert ensure_agent(tmp_path).pid != first.pid
    (delivery,) = settled(backend)
    assert delivery.state is DeliveryState.SENT
    assert [each["id"] for each in hook.bodies()] == [delivery.id, delivery.id]


def test_an_event_that_came_while_no_agent_ran_is_told_when_one_does(
    backend: Backend, tmp_path: Path, hook: Hook
) -> None:
    webhook(tmp_path, hook)
    backend.need("monitors").put_alert(alert())
    ensure_agent(tmp_path)
    assert settled(backend)[0].state is DeliveryState.SENT


def test_a_burst_is_one_message_and_other_severities_and_monitors_are_left_out(
    backend: Backend, tmp_path: Path, hook: Hook
) -> None:
    webhook(tmp_path, hook, 'severities = ["critical"]\nmonitors = ["li*"]\n')
    monitors = backend.need("monitors")
    monitors.put(Monitor(name="other", model="churn"), ME)
    for number in range(5):
        monitors.put_alert(alert(f"a{number}"))
    monitors.put_alert(alert("w", severity="warn"))
    monitors.put_alert(Alert(id="o", monitor="other", metric="auc", state=AlertState.FIRING, opened_at=1, text="t"))
    ensure_agent(tmp_path)
    settled(backend)
    (body,) = hook.bodies()
    assert [each["id"] for each in body["alerts"]] == ["a0", "a1", "a2", "a3", "a4"]


def test_the_agent_ends_a_mute_and_tells_what_it_kept_silent(backend: Backend, tmp_path: Path, hook: Hook) -> None:
    webhook(tmp_path, hook)
    ensure_agent(tmp_path)
    monitors = backend.need("monitors")
    until = int(time.time() * 1000) + 4000
    monitors.mute(Mute(monitor="live", until=until), ME)
    monitors.put_alert(alert())
    assert settled(backend)[0].happenings[0].at >= until
    assert monitors.mutes() == ()
    assert [each["alerts"][0]["event"] for each in hook.bodies()] == ["fired"]


def test_a_command_gets_json_without_a_shell(backend: Backend, tmp_path: Path) -> None:
    program = tmp_path / "page"
    program.write_text('#!/bin/sh\ncat > "$1"\nprintf "%s\\n" "$MLOPS_MONITOR $MLOPS_EVENT" >> "$1.env"\necho paged\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    out = tmp_path / "got; touch oops"
    channels(
        tmp_path,
        f'[[notify]]\nname = "ops"\nkind = "command"\ncommand = {json.dumps([str(program), str(out)])}\n'
        '[[notify]]\nname = "slow"\nkind = "command"\ncommand = "sleep 60"\ntimeout = 0.5\nattempts = 1\n',
    )
    ensure_agent(tmp_path)
    backend.need("monitors").put_alert(alert())
    assert settled(backend)[0].said == "exit 0: paged"
    assert json.loads(out.read_text())["alerts"][0]["id"] == "a1"
    assert out.with_name(out.name + ".env").read_text() == "live fired\n"
    assert "took longer than 0.5 s" in settled(backend, channel="slow")[0].said


class Postbox(socketserver.ThreadingTCPServer):
    """A mail server that takes letters, but none for `nobody@`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.letters: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Clerk)


class Clerk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 postbox\r\n")
        for line in self.rfile:
            word = line[:4].upper().strip()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = b""
                while not letter.endswith(b"\r\n.\r\n"):
                    letter += self.rfile.readline()
                assert isinstance(self.server, Postbox)
                self.server.letters.append(letter)
            if word == b"RCPT" and b"nobody@" in line:
                self.wfile.write(b"550 no such person\r\n")
            else:
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")


def test_mail_goes_by_a_server_and_by_sendmail(backend: Backend, tmp_path: Path) -> None:
    box = Postbox()
    threading.Thread(target=box.serve_forever, daemon=True).start()
    program = tmp_path / "sendmail"
    program.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/args"\ncat > "{tmp_path}/letter"\n')
    program.chmod(0o755)
    smtp = (
        f'kind = "email"\nfrom = "console@example.org"\nsmtp = "127.0.0.1:{box.server_address[1]}"\nstarttls = false\n'
    )
    channels(
        tmp_path,
        f'[[notify]]\nname = "ops"\nto = ["team@example.org"]\n{smtp}'
        f'[[notify]]\nname = "lost"\nto = ["nobody@example.org"]\n{smtp}'
        f'[[notify]]\nname = "tls"\nto = ["team@example.org"]\n{smtp.replace("starttls = false", "")}'
        '[[notify]]\nname = "local"\nkind = "email"\nto = ["team@example.org"]\nfrom = "console@example.org"\n'
        f'sendmail = "{program}"\n',
    )
    ensure_agent(tmp_path)
    try:
        backend.need("monitors").put_alert(alert())
        (delivery,) = settled(backend)
        assert delivery.state is DeliveryState.SENT
        (letter,) = box.letters
        assert f"Message-ID: <{delivery.id}@example.org>".encode() in letter
        assert b"Subject: [critical] live: auc fires" in letter
        (lost,) = settled(backend, channel="lost")
        assert (lost.state, lost.attempts) == (DeliveryState.FAILED, 1)
        assert "550 no such person" in lost.said
        assert "STARTTLS" in settled(backend, channel="tls")[0].said
        assert settled(backend, channel="local")[0].state is DeliveryState.SENT
        assert b"AUC is low" in (tmp_path / "letter").read_bytes()
        assert (tmp_path / "args").read_text().split()[-2:] == ["--", "team@example.org"]
    finally:
        box.shutdown()
        box.server_close()
