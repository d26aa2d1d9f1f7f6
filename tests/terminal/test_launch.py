"""The real program in a pty: first paint, stillness, endings, and what never reaches the terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backends.entities import RunStatus
from tests.hostile import HOSTILE, on_screen_is_harmless
from tests.terminal.stage import add_run, session
from tests.terminal.terminal import ROOT, Terminal

KNOWN = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, modes
    rb"|\x1b\]22;[a-z-]*\x07"  # the shape of the mouse pointer
)
"""What Textual itself writes."""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A person's own folders, empty."""
    return {
        "MLOPS_CONSOLE_WORKSPACE": str(tmp_path / "ws"),
        "MLOPS_CONSOLE_CONFIG": str(tmp_path / "config.toml"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


def seed(env: dict[str, str]) -> None:
    opened = session(Path(env["MLOPS_CONSOLE_WORKSPACE"]))
    add_run(opened.backend, "flights-hgb", RunStatus.RUNNING)
    opened.backend.close()


def test_something_is_painted_before_textual_is_imported(env: dict[str, str]) -> None:
    """Python itself says here what it imports, when it has: between what is painted, on the same line."""
    seed(env)
    for painted in (b"opening", b"flights-hgb"):  # a start that remembers nothing, and one that remembers the screen
        with Terminal(env={**env, "PYTHONPROFILEIMPORTTIME": "1"}) as terminal:
            terminal.wait_for(b" textual.app\r\n")
            assert painted in re.split(rb"import time:[^\n]* textual[.\r]", terminal.written)[0]
            terminal.wait("flights-hgb")
            terminal.rest()
            terminal.press("q")
            assert terminal.end() == 0


def test_the_first_paint_is_the_last_screen(env: dict[str, str]) -> None:
    seed(env)
    with Terminal(env=env) as terminal:
        terminal.wait("flights-hgb")
        terminal.rest()
        terminal.press("q")
        assert terminal.end() == 0
    with Terminal(env=env) as terminal:
        terminal.wait_for(b"\x1b[0m\x1b[H")
        painted = terminal.written.split(b"\x1b[0m\x1b[H")[0].decode()
        assert "flights-hgb" in painted
        assert "opening" in painted
        assert "live" not in painted
        terminal.wait("● live")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_a_still_screen_writes_nothing(env: dict[str, str], size: tuple[int, int]) -> None:
    seed(env)
    with Terminal(env=env, size=size) as terminal:
        terminal.wait("● live")
        terminal.rest(4.0, 90)


def test_quitting_leaves_the_terminal_as_it_was(env: dict[str, str]) -> None:
    with Terminal(env=env) as terminal:
        terminal.wait("● live")
        terminal.press("q")
        assert terminal.end() == 0
        tail = terminal.written[-400:]
        assert b"\x1b[?1049l" in tail
        assert b"\x1b[?25h" in tail


def test_keys_typed_before_the_screen_stands_are_not_lost(env: dict[str, str]) -> None:
    with Terminal(env=env) as terminal:
        while terminal.first is None:
            terminal.read()
        terminal.press("7")
        terminal.wait("Nothing was changed yet")


def test_sigterm_ends_cleanly(env: dict[str, str]) -> None:
    with Terminal(env=env) as terminal:
        terminal.wait("● live")
        terminal.signal(signal.SIGTERM)
        assert terminal.end() == 128 + signal.SIGTERM
        assert b"\x1b[?1049l" in terminal.written[-400:]


def test_a_hang_up_ends_at_once(env: dict[str, str]) -> None:
    with Terminal(env=env) as terminal:
        terminal.wait("● live")
        terminal.signal(signal.SIGHUP)
        assert terminal.end() == 128 + signal.SIGHUP


def test_a_lost_line_ends_it(env: dict[str, str]) -> None:
    terminal = Terminal(env=env)
    terminal.wait("● live")
    os.close(terminal.fd)
    deadline, pid, status = time.monotonic() + 60, 0, 0
    while not pid:
        assert time.monotonic() < deadline, "it goes on without a terminal"
        pid, status = os.waitpid(terminal.pid, os.WNOHANG)
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(status) in (128 + signal.SIGHUP, -signal.SIGHUP)


@pytest.mark.parametrize("pane", ["overview", "runs", "journal", "models", "datasets"])
def test_no_control_sequence_of_a_name_reaches_the_terminal(env: dict[str, str], pane: str) -> None:
    opened = session(Path(env["MLOPS_CONSOLE_WORKSPACE"]))
    for text in HOSTILE.values():
        if text.strip() and "\udc80" not in text:
            add_run(opened.backend, text[:300], RunStatus.FAILED, params={"p": text[:300]}, tags={"t": text[:300]})
    opened.backend.close()
    with Terminal(pane, env=env, size=(120, 40)) as terminal:
        terminal.wait("● live")
        for keys in ("j", "j", "d", "\x1b", "\x1b[6~", "j"):
            terminal.press(keys)
            terminal.rest(0.3)
        terminal.signal(signal.SIGTERM)
        terminal.end()  # to its last byte: no sequence is cut by the end of our reading
        left = KNOWN.sub(b"", terminal.written)
        left = left.replace(b"\r", b"").replace(b"\n", b"")
        assert on_screen_is_harmless(left.decode("utf-8"))


# ---------------------------------------------------------------- no screen


def run(*args: str, env: dict[str, str], **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "console.launch", *args],
        env={**os.environ, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
        check=False,
        **more,
    )


def test_without_a_terminal_one_line_names_the_commands(env: dict[str, str]) -> None:
    done = run(env=env)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "mlops-console run list" in done.stderr


def test_a_dumb_terminal_is_told_the_commands(env: dict[str, str]) -> None:
    with Terminal(env={**env, "TERM": "dumb"}) as terminal:
        assert terminal.end() == 2
        assert b"\x1b" not in terminal.written
        assert "TERM=dumb" in terminal.text


@pytest.mark.parametrize("pane", ["overview", "runs", "journal", "models"])
def test_plain_prints_a_pane_as_text(env: dict[str, str], pane: str) -> None:
    seed(env)
    done = run("--plain", pane, env=env)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    if pane in ("overview", "runs"):
        assert "flights-hgb" in done.stdout


def test_plain_of_an_unknown_context_says_so(env: dict[str, str]) -> None:
    done = run("--context", "nowhere", "--plain", env=env)
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_the_command_line_is_reached_without_textual(env: dict[str, str]) -> None:
    code = (
        "import sys; from console.launch import main; main(['run', 'list', '--json']);"
        "print('textual' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip().endswith("False")


def test_before_the_first_paint_nothing_heavy_is_imported() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import console.launch, console.tui.skeleton;"
        "heavy = ('textual', 'rich', 'click', 'msgspec', 'asyncio', 'typing', 'pandas');"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-I", "-c", code], text=True).strip() == "[]"


def test_a_plain_pane_piped_into_a_reader_that_has_enough_says_nothing(tmp_path: Path) -> None:
    command = f"{sys.executable} -m console.launch --workspace {tmp_path} --plain runs | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=240)
    assert done.stderr == ""
