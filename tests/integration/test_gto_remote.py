"""Models in git on a remote: consoles of two machines, a server that is away, refuses, or wants a password."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from backends.connect import connect
from backends.contract import (
    NotFound,
    Refused,
    Unauthorized,
    Unreachable,
)
from tests.gto_world import ANN, BOB, actions, bare, move, opened, promote_at_once, register, registry_of, ssh

__all__ = ["opened", "ssh"]


def test_of_two_consoles_on_one_remote_one_wins(tmp_path: Path, ssh: Path, opened: Any) -> None:
    url = f"gto+ssh://git@git.test{bare(tmp_path / 'models.git')}"
    ann, bob = opened(url, "ann"), opened(url, "bob")
    for _ in range(3):
        register(ann)
    move(ann, "0.0.1", None)
    won = promote_at_once(ann, bob)
    # What the other did is in this one's journal too, with its reason. A context asks the remote when it is opened.
    ann, bob = opened(url, "ann"), opened(url, "bob")
    for backend in (ann, bob):
        assert registry_of(backend).get("churn").aliases == {"prod": won}
        assert backend.journal is not None
        assert backend.journal.verify()[1] == ""
    assert actions(ann) == actions(bob)


def test_a_note_and_a_name_without_versions_are_the_teams(tmp_path: Path, opened: Any) -> None:
    url = f"gto+file://{bare(tmp_path / 'models.git')}"
    ann, bob = opened(url, "ann"), opened(url, "bob", copy="yes")
    registry_of(ann).create("churn", ANN, note="who leaves", tags={"team": "red"})
    register(ann)
    registry_of(ann).set_note("churn", "0.0.1", "look at this", ANN)
    model, version = registry_of(bob).get("churn"), registry_of(bob).version("churn", "0.0.1")
    assert (model.note, model.tags, version.note) == ("who leaves", {"team": "red"}, "look at this")
    registry_of(bob).delete("churn", BOB)
    with pytest.raises(NotFound):
        registry_of(ann).get("churn")
    assert register(ann) == "0.0.2"
    assert registry_of(ann).get("churn").note == ""


def test_a_remote_that_is_away_is_read_from_the_copy_and_not_written(tmp_path: Path, ssh: Path, opened: Any) -> None:
    folder = bare(tmp_path / "models.git")
    url = f"gto+ssh://git@git.test{folder}"
    register(opened(url, "ann"))
    ssh.unlink()
    with pytest.raises(Unreachable, match=r"git@git\.test.* does not answer.*Connection refused"):
        registry_of(opened(url, "bob")).page()
    again = opened(url, "ann")
    page = registry_of(again).page()
    assert [model.name for model in page.items] == ["churn"]
    assert "does not answer" in page.note
    with pytest.raises(Unreachable):
        register(again)
    ssh.touch()
    assert register(again) == "0.0.2"


def test_a_server_that_refuses_a_tag_says_so(tmp_path: Path, ssh: Path, opened: Any) -> None:
    folder = bare(tmp_path / "models.git")
    hook = folder / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'tags are for release managers' >&2\nexit 1\n")
    hook.chmod(0o755)
    backend = opened(f"gto+ssh://git@git.test{folder}")
    with pytest.raises(Refused, match=r"pre-receive hook declined.*tags are for release managers.*nothing was changed"):
        register(backend)
    assert registry_of(backend).page().items == ()
    assert backend.journal is not None
    assert backend.journal.page().total == 0


def test_a_token_goes_by_the_environment_alone(tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that wants a password: git gets it, no argument and no file holds it."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    from backends.login import Login

    seen: list[str] = []

    class Asking(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Asking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("GIT_TOKEN_HERE", "s3cr3t-value")
    url = f"gto+http://127.0.0.1:{server.server_port}/models.git"
    backend = connect("away", url, sidecar=tmp_path / "away", login=Login(username="ann", env="GIT_TOKEN_HERE"))
    try:
        with pytest.raises(Unauthorized, match="does not accept who we are") as told:
            registry_of(backend).page()
    finally:
        backend.close()
        server.shutdown()
        server.server_close()
    assert "Basic YW5uOnMzY3IzdC12YWx1ZQ==" in seen
    assert "s3cr3t" not in str(told.value)
    for file in (tmp_path / "away").rglob("*"):
        assert not file.is_file() or b"s3cr3t" not in file.read_bytes()
