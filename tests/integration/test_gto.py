"""Models in git: what `gto` writes and what the console writes are one registry, here and on a remote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gto import api as gto

from backends.connect import connect, server_of_runs
from backends.contract import (
    Backend,
    BackendError,
    Conflict,
    Invalid,
    ModelRegistry,
    Mutation,
    NotFound,
    Refused,
    Unauthorized,
    Unreachable,
)
from backends.entities import AliasChange, ModelFile, RunStatus, Signature
from console.promotion.register import register_run
from console.serving.fetched import fetch_version
from tests.integration.test_cli_loop import Shell, shell, write_churn, write_recipes

__all__ = ["shell"]
ANN, BOB = Mutation("ann@box", reason="because"), Mutation("bob@box", reason="why not")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def shown(folder: Path, *words: str) -> Any:
    command = [Path(sys.executable).with_name("gto"), *words, "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def _next_second() -> None:
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.02)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a work tree and one commit, as a team has it."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "config", "user.name", "Gus Tagger")
    git(folder, "config", "user.email", "gus@team")
    (folder / "models").mkdir()
    (folder / "models" / "fraud.pkl").write_bytes(b"pickled")
    (folder / "artifacts.yaml").write_text("# ours\nfraud:\n  type: model\n  path: models/fraud.pkl\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """Open contexts on a url, each with a sidecar of its own."""
    backends: list[Backend] = []

    def open_(url: str, name: str = "git", **options: str) -> Backend:
        made = connect(name, url, sidecar=tmp_path / f"sidecar-{name}", options=options)
        backends.append(made)
        return made

    yield open_
    for each in backends:
        each.close()


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of ssh: a program that runs git's own server here, for as long as a file says that the host is up."""
    up = tmp_path / "up"
    up.touch()
    program = tmp_path / "ssh"
    program.write_text(
        f'#!/bin/sh\nfor last; do :; done\n[ -e "{up}" ] || {{ echo "ssh: connect to host git.test port 22: '
        'Connection refused" >&2; exit 255; }\nexec sh -c "$last"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    return up


def registry_of(backend: Backend) -> ModelRegistry:
    assert backend.registry is not None
    return backend.registry


def register(backend: Backend, model: str = "churn", mutation: Mutation = ANN) -> str:
    file = ModelFile(sha256="a" * 64)
    made = registry_of(backend).register(model, run="r1", file=file, signature=Signature(), mutation=mutation)
    return made.version


def move(backend: Backend, version: str | None, expected: str | None, who: Mutation = ANN, alias: str = "prod") -> None:
    registry_of(backend).set_alias("churn", alias, version, expected=expected, mutation=who)


# ---------------------------------------------------------------- with gto


def test_gto_reads_what_the_console_writes(repo: Path, opened: Any) -> None:
    before = git(repo, "rev-parse", "HEAD")
    backend = opened(f"gto+file://{repo}")
    assert [register(backend) for _ in range(3)] == ["0.0.1", "0.0.2", "0.0.3"]
    move(backend, "0.0.1", None)
    move(backend, "0.0.2", "0.0.1", Mutation("bob@box", reason="auc 0.81 → 0.83"))
    move(backend, "0.0.1", "0.0.2", Mutation("bob@box", reason="the feed broke", action="model.rollback"))
    move(backend, "0.0.3", None, alias="canary")
    registry_of(backend).delete_version("churn", "0.0.3", ANN)
    told = shown(repo, "show")["churn"]  # the program itself; the rest by its library, which is quicker
    assert (told["version"], told["stage"]) == ("v0.0.2", {"prod": "v0.0.1"})
    events = [each for each in gto.history(repo, "churn") if each["stage"] == "prod"]
    newest = {(each["event"], each["version"], each["author"], each["author_email"]) for each in events[:2]}
    assert newest == {
        ("assignment", "v0.0.1", "bob", "bob@box"),
        ("unassignment", "v0.0.2", "bob", "bob@box"),
    }
    assert events[0]["message"].startswith("the feed broke\n")
    described = gto.describe(repo, "churn", "churn@v0.0.1")
    assert described is not None
    assert (described.type, described.path) == ("model", "models/churn")
    assert gto.describe(repo, "fraud", "churn@v0.0.1").path == "models/fraud.pkl"
    # Nothing of the person's own is touched: neither branch, nor index, nor work tree.
    assert (git(repo, "rev-parse", "HEAD"), git(repo, "status", "--porcelain")) == (before, "")
    assert git(repo, "branch", "--all") == "* main"
    assert "# ours" in git(repo, "show", "churn@v0.0.1:artifacts.yaml")
    assert register(backend) == "0.0.4"  # a number is not used again
    gto.register(repo, "churn", "HEAD")
    assert registry_of(backend).get("churn").latest == "0.0.5"


def test_the_console_reads_what_gto_writes(repo: Path, opened: Any) -> None:
    backend = opened(f"gto+file://{repo}")
    registry, journal = registry_of(backend), backend.journal
    assert journal is not None
    gto.register(repo, "fraud", "HEAD", message="the first that is any good")
    (found,) = registry.versions("fraud").items
    assert (found.version, found.created_by, found.note) == ("0.0.1", "gus@team", "the first that is any good")
    assert (found.file.path, found.file.format, found.file.bytes) == ("models/fraud.pkl", "pickle", 7)
    assert backend.artifacts is not None
    assert backend.artifacts.open(found.file.owner, found.file.path).read_bytes() == b"pickled"
    gto.assign(repo, "fraud", "prod", version="v0.0.1")
    assert registry.version("fraud", "@prod").version == "0.0.1"
    registry.set_tags("fraud", "0.0.1", {"team": "red"}, ANN)
    assert (registry.version("fraud", "0.0.1").note, registry.get("fraud").tags) == (found.note, {})
    _next_second()  # gto puts tags of one second in no order
    gto.unassign(repo, "fraud", version="v0.0.1", stage="prod")
    assert registry.get("fraud").aliases == {}
    told = [(each.alias, each.previous, each.version, each.actor) for each in registry.history("fraud")]
    assert told == [("prod", "0.0.1", None, "gus@team"), ("prod", None, "0.0.1", "gus@team")]
    gto.deregister(repo, "fraud", version="v0.0.1")
    with pytest.raises(NotFound, match="it was there, and was taken away"):
        registry.version("fraud", "0.0.1")
    _next_second()
    gto.deprecate(repo, "fraud")
    assert [model.name for model in registry.page().items] == []
    entries = {(entry.action, entry.target, entry.actor) for entry in journal.page().items}
    assert entries == {
        ("model.register", "fraud@0.0.1", "gus@team"),
        ("model.promote", "fraud", "gus@team"),
        ("model.tag", "fraud@0.0.1", "ann@box"),
        ("model.unalias", "fraud", "gus@team"),
        ("model.delete_version", "fraud@0.0.1", "gus@team"),
        ("model.delete", "fraud", "gus@team"),
    }
    assert journal.page().items[0].detail.startswith("by git tag fraud@deprecated")
    assert journal.verify() == (6, "")


def test_other_tags_are_left_alone(repo: Path, opened: Any) -> None:
    """Lightweight ones, hostile names, tags of trees, and messages that only look like ours."""
    backend = opened(f"gto+file://{repo}")
    register(backend)
    git(repo, "tag", "churn@v9.0.0")
    git(repo, "tag", "churn#prod#7")
    git(repo, "tag", "-a", "-m", "x", "]red]@v1.0.0")
    git(repo, "tag", "-a", "-m", "x", "release-2024")
    git(repo, "tag", "-a", "-m", "x", "tree@v1.0.0", "HEAD^{tree}")
    git(repo, "tag", "-a", "-m", "mlops-console: {]", "odd@v1.0.0")
    long = "n" * 200
    git(repo, "tag", "-a", "-m", "[/red]\x1b[31m", f"{long}@v1.0.0")
    name = b"refs/tags/caf\xe9@v1.0.0"
    subprocess.run(["git", "-C", repo, "update-ref", name, git(repo, "rev-parse", "odd@v1.0.0")], check=True)
    models = {model.name: model.latest for model in registry_of(backend).page().items}
    assert models == {"churn": "0.0.1", "odd": "1.0.0", long: "1.0.0"}
    for wrong in ("a b", "é", "-x", "a..b", "a/", "x" * 300, "a.lock", "[/red]", "a@v1.0.0", "a#b"):
        with pytest.raises(Invalid, match="nothing was changed"):
            registry_of(backend).create(wrong, ANN)
        with pytest.raises(Invalid, match="nothing was changed"):
            move(backend, "0.0.1", None, alias=wrong)


def test_stages_are_those_that_the_repository_names(repo: Path, opened: Any) -> None:
    (repo / ".gto").write_text("stages: [dev, prod]\n")
    git(repo, "add", ".gto")
    git(repo, "commit", "--quiet", "--message=stages")
    backend = opened(f"gto+file://{repo}")
    register(backend)
    with pytest.raises(Invalid, match=r"dev, prod, and champion is none"):
        move(backend, "0.0.1", None, alias="champion")
    move(backend, "0.0.1", None)


# ---------------------------------------------------------------- a remote


def bare(folder: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", "--bare", folder], check=True)
    return folder


def test_of_two_consoles_on_one_remote_one_wins(tmp_path: Path, ssh: Path, opened: Any) -> None:
    url = f"gto+ssh://git@git.test{bare(tmp_path / 'models.git')}"
    ann, bob = opened(url, "ann"), opened(url, "bob")
    for _ in range(3):
        register(ann)
    move(ann, "0.0.1", None)
    ready, told = threading.Barrier(2), []

    def promote(backend: Backend, version: str, who: Mutation) -> None:
        ready.wait()
        try:
            move(backend, version, "0.0.1", who)
            told.append((version, ""))
        except Conflict as lost:
            told.append((version, str(lost)))

    threads = [threading.Thread(target=promote, args=each) for each in ((ann, "0.0.2", ANN), (bob, "0.0.3", BOB))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = next(version for version, error in told if not error)
    lost = next(error for _, error in told if error)
    winner = "ann@box" if won == "0.0.2" else "bob@box"
    assert f"moved from v0.0.1 to v{won} by {winner} at 20" in lost
    # What the other did is in this one's journal too, with its reason. A context asks the remote when it is opened.
    ann, bob = opened(url, "ann"), opened(url, "bob")
    for backend in (ann, bob):
        assert registry_of(backend).get("churn").aliases == {"prod": won}
        assert backend.journal is not None
        assert backend.journal.verify()[1] == ""
    assert _actions(ann) == _actions(bob)


def _actions(backend: Backend) -> list[tuple[str, str, str, str]]:
    assert backend.journal is not None
    found = backend.journal.page(limit=500).items
    return sorted((entry.action, entry.target, entry.actor, entry.reason) for entry in found)


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


def test_what_cannot_be_opened_is_said(tmp_path: Path, opened: Any) -> None:
    (tmp_path / "plain").mkdir()
    for url, kind, words in (
        (f"gto+file://{tmp_path}/none", NotFound, "no folder"),
        (f"gto+file://{tmp_path}/plain", NotFound, "no git repository"),
    ):
        with pytest.raises(kind, match=words):
            registry_of(opened(url, words.replace(" ", ""))).page()
    for url in ("gto+file://host/repo", "gto+ftp://host/x", "gto+ssh://git:secret@host/x", "gto+ssh://-oProxy/x"):
        with pytest.raises(Invalid) as told:
            opened(url)
        assert "secret" not in str(told.value)
    with pytest.raises(Invalid, match="no option 'bmp'"):
        opened(f"gto+file://{tmp_path}/plain", bmp="major")


def test_a_shallow_copy_and_one_that_may_not_be_written(repo: Path, tmp_path: Path, opened: Any) -> None:
    register(opened(f"gto+file://{repo}"))
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{repo}", shallow], check=True)
    git(shallow, "fetch", "--quiet", "--tags", "--depth=1")
    assert registry_of(opened(f"gto+file://{shallow}", "shallow")).get("churn").latest == "0.0.1"
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    backend = opened(f"gto+file://{repo}", "locked")
    folder = repo / ".git" / "objects"
    folder.chmod(0o500)
    try:
        with pytest.raises(Refused, match="may not be written by you"):
            register(backend)
    finally:
        folder.chmod(0o700)


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


# ---------------------------------------------------------------- killed


KILLED = """
import sys
from pathlib import Path
from backends.connect import connect
from backends.contract import Mutation
from backends.entities import AliasChange
backend = connect("git", sys.argv[1], sidecar=Path(sys.argv[2]))
at = "0.0.1"
print("at it", flush=True)
while True:
    to = "0.0.2" if at == "0.0.1" else "0.0.1"
    changes = [AliasChange(alias=name, version=to, expected=at) for name in ("blue", "green", "red")]
    backend.registry.set_aliases("churn", changes, mutation=Mutation("ann@box", reason="over and over"))
    at = to
"""


def test_kill_9_in_the_middle_leaves_all_or_nothing(tmp_path: Path, opened: Any) -> None:
    folder = bare(tmp_path / "models.git")
    url = f"gto+file://{folder}"
    backend = opened(url, "ann")
    register(backend)
    register(backend)
    changes = [AliasChange(alias=name, version="0.0.1", expected=None) for name in ("blue", "green", "red")]
    registry_of(backend).set_aliases("churn", changes, mutation=ANN)
    for attempt in range(2):
        held = registry_of(backend).get("churn").aliases["blue"]
        back = [AliasChange(alias=name, version="0.0.1", expected=held) for name in ("blue", "green", "red")]
        if held != "0.0.1":
            registry_of(backend).set_aliases("churn", back, mutation=ANN)
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, url, str(tmp_path / "sidecar-ann")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.2 + 0.3 * attempt)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        again = opened(url, "ann")
        aliases = registry_of(again).get("churn").aliases
        assert len(set(aliases.values())) == 1, aliases
        assert set(aliases) == {"blue", "green", "red"}
        moves = registry_of(again).history("churn")
        assert len(moves) % 3 == 0
        assert again.journal is not None
        told = [entry for entry in again.journal.page(limit=500).items if entry.action == "model.promote"]
        assert len(told) == len(moves) // 3
        again.close()


def test_what_git_itself_left_half_done_is_finished(tmp_path: Path, opened: Any) -> None:
    """git writes the refs of one change one after the other: killed in between, some stand and a lock is left."""
    folder = bare(tmp_path / "models.git")
    url = f"gto+file://{folder}"
    backend = opened(url)
    register(backend)
    register(backend)
    move(backend, "0.0.1", None)
    before = set(git(folder, "for-each-ref", "--format=%(refname)").split())
    move(backend, "0.0.2", "0.0.1", BOB)
    listed = git(folder, "for-each-ref", "--format=%(refname) %(objectname)").split("\n")
    made = {ref: oid for ref, oid in (line.split() for line in listed) if ref not in before}
    last = sorted(made)[-1]
    git(folder, "update-ref", "-d", last)
    lock = folder / f"{last}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    from backends.gto.state import State

    state = State(tmp_path / "sidecar-git" / "gto.db")
    state.intend("c", msgspec.json.encode({"created": made, "moved": {}}).decode())
    state.close()
    again = opened(url)
    assert registry_of(again).get("churn").aliases == {"prod": "0.0.2"}
    assert not lock.exists()
    assert git(folder, "rev-parse", last) == made[last]


# ---------------------------------------------------------------- a whole path


@pytest.mark.slow
def test_from_a_run_to_production_and_back_and_another_machine_serves_it(
    shell: Shell, repo: Path, tmp_path: Path, opened: Any
) -> None:
    shell.env.pop("MLOPS_CONSOLE_WORKSPACE")
    shell.env["XDG_DATA_HOME"] = str(tmp_path / "data")
    nowhere = shell.error("context", "add", "team", f"gto+file://{repo}-not", code=2)
    assert "no folder" in nowhere["message"]
    added = shell.run("context", "add", "team", f"gto+file://{repo}", "--use")
    assert added.returncode == 0, added.stderr
    write_churn(tmp_path / "churn.csv")
    recipes = write_recipes(tmp_path)
    shell.json("dataset", "import", str(tmp_path / "churn.csv"), "churn")
    runs = [shell.json("run", "start", str(each), "--wait")["id"] for each in recipes]
    (kept,) = (tmp_path / "data").rglob("gto.db")
    here = connect("team", f"gto+file://{repo}", sidecar=kept.parent)
    try:
        assert [register_run(here, run, "churn", ANN).version for run in runs] == ["0.0.1", "0.0.2"]
        registry_of(here).set_alias("churn", "champion", "0.0.1", expected=None, mutation=ANN)
    finally:
        here.close()
    promoted = shell.json("model", "promote", "churn", "0.0.2", "--reason", "better")
    assert (promoted["previous"], promoted["version"]) == ("0.0.1", "0.0.2")
    rolled = shell.json("model", "rollback", "churn", "--reason", "accuracy fell")
    assert (rolled["previous"], rolled["version"]) == ("0.0.2", "0.0.1")
    moves = shell.json("model", "history", "churn")["items"]
    assert [(each["version"], each["reason"]) for each in moves] == [
        ("0.0.1", "accuracy fell"),
        ("0.0.2", "better"),
        ("0.0.1", "because"),
    ]
    entries = shell.json("journal", "list")["items"]
    told = [each for each in entries if each["action"] in ("model.promote", "model.rollback")]
    assert [each["action"] for each in told] == ["model.rollback", "model.promote", "model.promote"]
    assert told[1]["gates"]
    assert shown(repo, "show")["churn"]["stage"] == {"champion": "v0.0.1"}
    other = opened(f"gto+file://{repo}", "elsewhere")
    found = fetch_version(other, "churn", "0.0.2")
    assert Path(found.path).stat().st_size > 0
    assert (found.task, found.target) == ("classification", "churned")


def test_a_run_that_became_a_version_is_not_cleaned_away(repo: Path, opened: Any) -> None:
    backend = opened(f"gto+file://{repo}")
    assert backend.runs is not None
    assert backend.retention is not None
    run = backend.runs.create(name="a", mutation=ANN).id
    backend.runs.end(run, RunStatus.FINISHED)
    registry_of(backend).register("churn", run=run, file=ModelFile(), signature=Signature(), mutation=ANN)
    backend.runs.delete(run, ANN)
    (held,) = backend.retention.holdings().runs
    assert held.needed == "registered as churn@0.0.1"
    assert server_of_runs(backend.home) is None


def test_a_model_too_large_for_git_is_a_pointer(repo: Path, tmp_path: Path, opened: Any) -> None:
    ann = opened(f"gto+file://{repo}", "ann", max_file="1KB")
    assert ann.runs is not None
    assert ann.artifacts is not None
    run = ann.runs.create(name="a", mutation=ANN).id
    for name, size in (("model.skops", 5_000), ("meta.json", 10)):
        file = tmp_path / name
        file.write_bytes(b"x" * size)
        kept = ann.artifacts.put(run, f"model/{name}", file)
        sha256 = kept.sha256 if name == "model.skops" else sha256_of(file)
        assert kept.sha256 == sha256
    file_ = ModelFile(sha256=ann.artifacts.list(run)[1].sha256, bytes=5_000, format="skops", path="model/model.skops")
    registry_of(ann).register("churn", run=run, file=file_, signature=Signature(), mutation=ANN)
    assert ann.artifacts.open(run, "model/model.skops").stat().st_size == 5_000
    bob = opened(f"gto+file://{repo}", "bob")
    assert bob.artifacts is not None
    assert bob.artifacts.open(run, "model/meta.json").read_bytes() == b"x" * 10
    with pytest.raises(NotFound, match=r"too large for git, and lies where the run was.*ann@box.*5,000 bytes"):
        bob.artifacts.open(run, "model/model.skops")


def sha256_of(file: Path) -> str:
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_every_error_is_one_of_ours(repo: Path, opened: Any) -> None:
    """A repository that breaks while it is open."""
    backend = opened(f"gto+file://{repo}")
    register(backend)
    (repo / ".git").rename(repo / ".gone")
    with pytest.raises(BackendError):
        register(backend)
