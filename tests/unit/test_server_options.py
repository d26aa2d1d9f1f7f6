"""What every server takes as options, and the lock that one process holds at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backends.contract import Conflict, Invalid
from backends.entities import LauncherRef
from backends.launchers import open_engine
from backends.one_at_a_time import one_at_a_time
from backends.server_options import seconds_option, trusted, word_option

_HOLDER = """
import sys
from pathlib import Path
from backends.one_at_a_time import one_at_a_time
with one_at_a_time(Path(sys.argv[1]), wait=5, refusal="held"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("said", ["soon", "0", "-1", "nan", "inf", "61"])
def test_seconds_are_a_number_within_bounds(said: str) -> None:
    with pytest.raises(Invalid, match="up to 60") as caught:
        seconds_option({"timeout": said}, "timeout", 30, most=60, field="here.timeout")
    assert caught.value.field == "here.timeout"


def test_seconds_not_given_are_the_default() -> None:
    assert seconds_option({}, "timeout", 30, most=60, field="timeout") == 30
    assert seconds_option({"timeout": "2.5"}, "timeout", 30, most=60, field="timeout") == 2.5


@pytest.mark.parametrize("said", ["team\r\nX-Evil: 1", "equipe-été", "a\x00b"])
def test_a_word_is_one_that_a_header_can_carry(said: str) -> None:
    with pytest.raises(Invalid, match="plain letters"):
        word_option({"tenant": said}, "tenant", field="tenant")


@pytest.mark.parametrize("content", [None, "no certificate", "-----BEGIN CERTIFICATE-----\nxx\n"])
def test_certificates_that_cannot_be_read_are_told(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(Invalid, match="cannot be read"):
        trusted({"ca_file": str(file)}, field="ca_file")
    with pytest.raises(Invalid, match="cannot be read"):
        open_engine(LauncherRef(url="ray+https://head", options={"ca_file": str(file)}))


def test_without_a_file_the_machine_decides_whom_to_trust() -> None:
    assert trusted({}, field="ca_file") is True


@pytest.mark.parametrize("url", ["ray:x", "ray+ftp://head", "ray+https://", "ray+https://me:secret@head"])
def test_a_wrong_address_of_a_head_is_refused_by_its_key(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        open_engine(LauncherRef(url=url))
    assert caught.value.field == "launcher"
    assert "secret@" not in str(caught.value)


def test_a_lock_is_let_go_of_by_who_dies(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(Conflict, match="somebody is at it"),
            one_at_a_time(path, wait=0, refusal="somebody is at it"),
        ):
            pass
        holder.kill()
        holder.wait()
        with one_at_a_time(path, wait=10, refusal="somebody is at it"):
            pass
