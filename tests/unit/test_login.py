"""Where a secret is, and that nothing else holds it."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from backends.contract import Invalid, Unauthorized
from backends.login import Login


def test_a_secret_comes_from_a_variable_a_file_or_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", " s3cret ")
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    command = f"{sys.executable} -c \"print('s3cret')\""
    for login in (Login(env="A_TOKEN"), Login(file=str(file)), Login(command=command)):
        assert login.secret() == "s3cret"
        assert "s3cret" not in repr(Login(env="A_TOKEN"))
        assert msgspec.json.decode(msgspec.json.encode(login), type=Login) == login
    assert Login().secret() == ""


@pytest.mark.parametrize(
    ("login", "sentence"),
    [
        (Login(env="NOT_SET_ANYWHERE"), "is not set here"),
        (Login(file="/nowhere/token"), "No such file"),
        (Login(command="no-such-program-here"), "cannot be run"),
        (Login(command=f"{sys.executable} -c \"raise SystemExit('half of s3cret')\""), "exit code 1"),
        (Login(command=f"{sys.executable} -c pass"), "gave no token"),
    ],
)
def test_a_secret_that_is_not_there_is_told_without_it(login: Login, sentence: str) -> None:
    with pytest.raises(Unauthorized, match=sentence) as caught:
        login.secret()
    assert "s3cret" not in str(caught.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret")
    file.chmod(0o644)
    with pytest.raises(Invalid, match="chmod 600"):
        Login(file=str(file)).secret()


def test_a_command_that_cannot_be_read_is_invalid() -> None:
    with pytest.raises(Invalid):
        Login(command="echo 'half").secret()


def test_a_secret_comes_from_one_place() -> None:
    with pytest.raises(ValueError, match="one place"):
        Login(env="A", file="/b")
