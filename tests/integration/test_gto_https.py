"""A registry in git behind HTTPS with passwords, as teams have it on their git server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.connect import connect
from backends.contract import Backend, Mutation, Refused, Unauthorized, Unreachable
from backends.login import Login
from console.promotion.promote import promote
from console.promotion.rollback import rollback
from tests.git_https_server import GitServer, git_server
from tests.gto_world import ANN, BOB, actions, git, move, promote_at_once, register, registry_of
from tests.oci_world import register as register_file

SECRET = "s3cr3t-value-of-ann"


class Team:
    """Consoles of several people on one server."""

    def __init__(self, server: GitServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.url = f"gto+{server.url}/models.git"
        self._open: list[Backend] = []

    def console(self, user: str, sidecar: str = "") -> Backend:
        login = Login(username=user, env=f"TOKEN_OF_{user.upper()}") if user else Login()
        made = connect("team", self.url, sidecar=self.folder / (sidecar or user or "nobody"), login=login)
        self._open.append(made)
        return made

    def close(self) -> None:
        for each in self._open:
            each.close()


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    for user, secret in (("ANN", SECRET), ("BOB", "of-bob"), ("EVE", "guessed"), ("CEM", "of-cem")):
        monkeypatch.setenv(f"TOKEN_OF_{user}", secret)
    users = {"ann": SECRET, "bob": "of-bob", "cem": "of-cem"}
    with git_server(tmp_path / "server", users, readers=("cem",)) as server:
        monkeypatch.setenv("GIT_SSL_CAINFO", str(server.certificate))
        made = Team(server, tmp_path)
        yield made
        made.close()


def test_promoted_over_https_and_rolled_back_and_both_consoles_tell_the_same_story(team: Team) -> None:
    ann, bob = team.console("ann"), team.console("bob")
    for content in (b"one", b"two"):
        register_file(ann, team.folder, content)
    promote(ann, "churn", "0.0.1", "champion", ANN, expected=None)
    promote(bob, "churn", "0.0.2", "champion", BOB, expected="0.0.1")
    rollback(ann, "churn", "champion", Mutation("ann@box", reason="it was worse"), expected="0.0.2")
    ann, bob = team.console("ann"), team.console("bob")  # a remote is asked when a context is opened
    for each in (ann, bob):
        assert registry_of(each).get("churn").aliases == {"champion": "0.0.1"}
        moves = registry_of(each).history("churn", alias="champion")
        assert [(found.version, found.actor) for found in moves] == [
            ("0.0.1", "ann@box"), ("0.0.2", "bob@box"), ("0.0.1", "ann@box"),
        ]  # fmt: skip
    assert [each for each in actions(ann) if each[0].startswith("model.")] == actions(bob)
    # It is all in the server's own repository, for `gto show` to read.
    assert len(git(team.server.folder / "models.git", "tag", "--list", "churn#champion#*").splitlines()) == 3


def test_of_two_consoles_that_push_at_once_one_wins_and_the_other_is_told_who(team: Team) -> None:
    ann, bob = team.console("ann"), team.console("bob")
    for _ in range(3):
        register(ann)
    move(ann, "0.0.1", None)
    won = promote_at_once(ann, bob)
    assert registry_of(team.console("cem")).get("churn").aliases == {"prod": won}


def test_no_argument_no_file_and_no_error_holds_the_token(team: Team) -> None:
    arguments: list[str] = []

    def look() -> None:
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments.append(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                pass  # it ended

    team.server.while_asked = look
    ann = team.console("ann")
    register(ann)
    promote(ann, "churn", "0.0.1", "champion", ANN, expected=None)
    assert any("git" in each and "push" in each for each in arguments)
    assert any("git-remote-http" in each for each in arguments)
    assert not any(SECRET in each for each in arguments)
    team.server.users["ann"] = "another"
    team.server.while_asked = None
    with pytest.raises(Unauthorized) as told:
        register(ann)
    assert SECRET not in str(told.value)
    held = [each for each in (team.folder / "ann").rglob("*") if each.is_file()]
    assert held
    assert not [each.name for each in held if SECRET.encode() in each.read_bytes()]


def test_a_wrong_token_none_and_one_that_may_only_read_are_told_apart(team: Team) -> None:
    register(team.console("ann"))
    for user in ("eve", ""):
        with pytest.raises(Unauthorized, match=r"does not accept who we are.*token_env"):
            registry_of(team.console(user)).page()
    cem = team.console("cem")
    assert [each.name for each in registry_of(cem).page().items] == ["churn"]
    with pytest.raises(Refused, match="Ask whoever owns the repository"):
        register(cem)
    # Nothing of what was refused is left, here or there.
    assert registry_of(cem).get("churn").versions == 1
    assert registry_of(team.console("bob")).get("churn").versions == 1


def test_a_token_that_was_renewed_is_used_without_opening_anew(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = team.console("ann")
    register(ann)
    team.server.users["ann"] = "renewed"
    with pytest.raises(Unauthorized):
        register(ann)
    monkeypatch.setenv("TOKEN_OF_ANN", "renewed")
    assert register(ann) == "0.0.2"


def test_a_server_that_is_dead_is_read_from_the_copy_and_refuses_changes(team: Team) -> None:
    ann = team.console("ann")
    register(ann)
    team.server.stop()
    with pytest.raises(Unreachable, match=r"does not answer"):
        registry_of(team.console("bob")).page()
    again = team.console("ann")
    page = registry_of(again).page()
    assert [each.name for each in page.items] == ["churn"]
    assert "does not answer" in page.note
    with pytest.raises(Unreachable, match="does not answer"):
        move(again, "0.0.1", None)
    assert registry_of(again).get("churn").aliases == {}


def test_a_certificate_that_nobody_knows_is_told_with_what_to_do(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_SSL_CAINFO")
    with pytest.raises(Unreachable, match=r"certificate.*http\.sslCAInfo"):
        registry_of(team.console("ann")).page()
    assert not team.server.asked
