from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from console.launch import read_arguments
from console.tui import skeleton
from tests.hostile import HOSTILE, on_screen_is_harmless


def painted(path: Path, columns: int = 80, rows: int = 24) -> str:
    read, write = os.pipe()
    skeleton.paint(write, str(path), columns, rows, "overview")
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        return pipe.read().decode()


def body(text: str) -> list[str]:
    inner = text.split("\x1b[2m", 1)[1].rsplit("\x1b[0m", 1)[0]
    return inner.replace("\x1b[K", "").split("\r\n")


def test_what_was_remembered_is_painted(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    skeleton.remember(str(path), ["first", "second"], "1;2;3")
    lines = body(painted(path))
    assert lines[:2] == ["first", "second"]
    assert len(lines) == 24
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_memory_the_bare_frame_is_painted(tmp_path: Path) -> None:
    lines = body(painted(tmp_path / "none"))
    assert "mlops-console" in lines[0]
    assert "overview" in lines[1]
    assert len(lines) == 24


def test_a_memory_somebody_wrote_cannot_command_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "x"
    text = "\n".join([f"{skeleton.MAGIC} 1;2;3", *HOSTILE.values()])
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert all(on_screen_is_harmless(line) for line in body(painted(path, 200, 400)))


@pytest.mark.parametrize("ground", ["0m\x1b]52;c;x\x07", "1;2", "1;2;9999", "a;b;c", "1;2;3;4"])
def test_a_colour_that_is_none_is_not_painted(tmp_path: Path, ground: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    path = tmp_path / "x"
    path.write_text(f"{skeleton.MAGIC} {ground}\nline\n")
    assert "48;2" not in painted(path)
    assert "]52" not in painted(path)


def test_a_file_of_another_kind_is_not_painted(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("root:x:0:0\n")
    assert "root" not in painted(path)


def test_workspaces_panes_and_sizes_have_their_own_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    places = {
        skeleton.place(context, workspace, pane, *size)
        for context in ("", "prod")
        for workspace in ("", "/a")
        for pane in ("overview", "runs")
        for size in ((80, 24), (120, 40))
    }
    assert len(places) == 16
    assert all(place.startswith(str(tmp_path)) for place in places)


# ---------------------------------------------------------------- screen or command line


@pytest.mark.parametrize(
    ("args", "pane", "argument"),
    [
        ([], "overview", ""),
        (["runs"], "runs", ""),
        (["runs", "status", "=", "failed"], "runs", "status = failed"),
        (["monitor"], "monitor", ""),
        (["--context", "prod", "models"], "models", ""),
        (["--workspace=/a", "--read-only"], "overview", ""),
        (["--plain", "journal"], "journal", ""),
        (["journal", "--plain"], "journal", ""),
    ],
)
def test_these_open_the_screen(args: list[str], pane: str, argument: str) -> None:
    wanted = read_arguments(args)
    assert wanted is not None
    assert (wanted.pane, wanted.argument) == (pane, argument)


@pytest.mark.parametrize(
    "args",
    [
        ["run", "list"],
        ["--json"],
        ["--help"],
        ["monitor", "list"],
        ["journal", "verify"],
        ["--context"],
        ["nonsense"],
        ["-x"],
    ],
)
def test_these_are_the_command_line(args: list[str]) -> None:
    assert read_arguments(args) is None
