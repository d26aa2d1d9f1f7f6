"""Hostile texts as the name of everything: no byte of theirs that a terminal obeys comes out of the real program, on a
terminal or in a pipe, as data, as narration or as an error; and JSON gives them back unchanged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from backends.contract import Invalid
from backends.entities import ModelFile, Monitor, Signature
from backends.local import open_local
from tests.hostile import HOSTILE, on_screen_is_harmless
from tests.hostile_workspace import LOG, TEXTS, WATCHED, by, fill
from tests.terminal.terminal import ROOT, Terminal

OWN = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, modes, as the program writes them
    rb"|\x1b\]22;[a-z-]*\x07"  # Textual's shape of the mouse pointer
    rb"|\x07"  # the bell, at a key that does nothing
)
"""What the program itself writes to a terminal. The texts bring no CSI through: `PLANTED` would show it."""

PLANTED = (b"\x1b[31mred", b"\x1b]52", b"\x1b]0;", b"\x1bP", b"cHduZWQ=\x07", b"owned\x07", b"a\x07")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "ws"
    fill(folder).close()
    return folder


@pytest.fixture
def env(home: Path, tmp_path: Path) -> dict[str, str]:
    return {
        "MLOPS_CONSOLE_WORKSPACE": str(home),
        "MLOPS_CONSOLE_CONFIG": str(tmp_path / "config.toml"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


def run(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "console.launch", *args],
        env={**os.environ, **env},
        cwd=ROOT,
        capture_output=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def harmless(written: bytes) -> None:
    """Of what came out nothing is obeyed, but for what the program itself says to a terminal."""
    for planted in PLANTED:
        assert planted not in written, planted
    left = OWN.sub(b"", written).replace(b"\r", b"").replace(b"\n", b"")
    text = left.decode("utf-8")
    assert on_screen_is_harmless(text), [ascii(found) for found in text if not on_screen_is_harmless(found)][:10]


# ---------------------------------------------------------------- the store's door


@pytest.mark.parametrize("text", ["", "   ", HOSTILE["surrogate"]], ids=["empty", "spaces", "surrogate"])
def test_what_cannot_be_a_name_is_refused_in_words(tmp_path: Path, text: str) -> None:
    backend = open_local(tmp_path / "ws")
    runs = backend.need("runs")
    held = runs.create(name="held", mutation=by("me@here"))
    backend.need("registry").register("m", run=held.id, file=ModelFile(), signature=Signature(), mutation=by("me@here"))
    before = len(backend.need("journal").page().items)
    for attempt in (
        lambda: runs.create(name=text, mutation=by("me@here")),
        lambda: runs.create(name="x", experiment=text, mutation=by("me@here")),
        lambda: runs.create(name="x", params={text: "1"}, mutation=by("me@here")),
        lambda: runs.set_tags(held.id, {text: "1"}, by("me@here")),
        lambda: backend.need("monitors").put(Monitor(name=text, model="m"), by("me@here")),
        lambda: backend.need("registry").set_alias("m", text, "1", expected=None, mutation=by("me@here")),
    ):
        with pytest.raises(Invalid) as caught:
            attempt()
        assert on_screen_is_harmless(str(caught.value))
    assert len(backend.need("journal").page().items) == before
    backend.close()


@pytest.mark.parametrize("place", ["note", "reason", "actor", "value"])
def test_a_lone_surrogate_in_a_text_is_refused_and_nothing_is_changed(tmp_path: Path, place: str) -> None:
    backend = open_local(tmp_path / "ws")
    runs = backend.need("runs")
    held = runs.create(name="held", mutation=by("me@here"))
    text = HOSTILE["surrogate"]
    mutation = by(text) if place in ("reason", "actor") else by("me@here")
    change = (
        (lambda: runs.log_params(held.id, {"p": text}))
        if place == "value"
        else (lambda: runs.set_note(held.id, text if place == "note" else "fine", mutation))
    )
    with pytest.raises(Invalid, match="lone surrogate"):
        change()
    assert runs.get(held.id) == held
    assert backend.need("journal").verify()[1] == ""
    backend.close()


def test_an_argument_that_is_no_utf8_is_refused_in_words(env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"console.launch", b"run", b"show", b"ab\xff\xfecd"],
        env={**os.environ, **env},
        cwd=ROOT,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == b""
    harmless(done.stderr)
    assert b"Traceback" not in done.stderr


# ---------------------------------------------------------------- pipes

LISTS = (
    ("dataset", "list"),
    ("dataset", "show", "wide"),
    ("dataset", "rows", "wide"),
    ("dataset", "profile", "wide"),
    ("run", "list", "--limit", "500"),
    ("model", "list"),
    ("model", "show", WATCHED),
    ("model", "versions", WATCHED),
    ("model", "show", WATCHED, "1"),
    ("model", "gates", WATCHED, "2"),
    ("model", "history", WATCHED),
    ("monitor", "list"),
    ("monitor", "show", WATCHED),
    ("monitor", "batches", WATCHED),
    ("deploy", "list"),
    ("deploy", "show", WATCHED),
    ("deploy", "logs", WATCHED),
    ("alert", "list", "--all"),
    ("journal", "list", "--limit", "500"),
    ("journal", "verify"),
)


@pytest.mark.parametrize("args", LISTS, ids=lambda args: " ".join(args[:2]))
def test_what_a_person_reads_is_harmless_and_json_gives_it_back(env: dict[str, str], args: tuple[str, ...]) -> None:
    human = run(env, *args)
    assert b"Traceback" not in human.stderr
    assert human.returncode in ((0, 1) if args[1] == "gates" else (0,)), human.stderr
    assert human.stdout or human.stderr
    assert b"\x1b" not in human.stdout + human.stderr
    harmless(human.stdout)
    harmless(human.stderr)
    machine = run(env, *args, "--json")
    assert machine.returncode == human.returncode
    harmless(machine.stdout)
    json.loads(machine.stdout)


def test_json_names_are_the_names(env: dict[str, str]) -> None:
    listed = json.loads(run(env, "model", "list", "--json", "--limit", "500").stdout)["items"]
    assert {item["name"] for item in listed} >= set(TEXTS.values())


@pytest.mark.parametrize("name", [key for key in TEXTS if key != "nul"])
def test_errors_that_repeat_a_hostile_argument_are_harmless(env: dict[str, str], name: str) -> None:
    """No argument can hold a NUL: the system ends it there."""
    import contextlib
    import io

    from console.cli.main import main

    text = TEXTS[name]
    for args in (
        ["dataset", "show", f"{text}x@9"],
        ["dataset", "import", f"/nowhere/{text}", "x"],
        ["run", "show", f"{text}x"],
        ["run", "list", f"{text}x = 1"],
        ["model", "show", f"{text}x"],
        ["monitor", "show", f"{text}x"],
        ["run", "start", f"{text}x"],
        ["journal", "show", f"{text}x"],
        ["--context", f"{text}x", "run", "list"],
        [f"{text}x"],
    ):
        # In this process: two hundred starts of the program would say no more.
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            for key, value in env.items():
                patch.setenv(key, value)
            code = main(args)
        assert code in (1, 2, 3), (args, err.getvalue())
        assert out.getvalue() == ""
        harmless(err.getvalue().encode("utf-8", "surrogatepass"))
        assert "this is a defect" not in err.getvalue(), err.getvalue()


@pytest.mark.parametrize("pane", ["overview", "datasets", "runs", "models", "monitor", "deployments", "journal"])
def test_plain_panes_are_harmless(env: dict[str, str], pane: str) -> None:
    done = run(env, "--plain", pane)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout
    harmless(done.stdout)
    harmless(done.stderr)
    shown = "[red]x[/red]" if pane == "datasets" else WATCHED  # no dataset can have an @ in its name
    assert shown in done.stdout.decode()


def test_the_log_of_a_run_is_text_and_nothing_else(env: dict[str, str]) -> None:
    found = json.loads(run(env, "run", "list", f"name = '{LOG}'", "--json").stdout)["items"]
    done = run(env, "run", "logs", found[0]["id"])
    assert done.returncode == 0
    assert b"press me" in done.stdout
    harmless(done.stdout)


# ---------------------------------------------------------------- a terminal

WALK = (
    "j",
    "j",
    "d",
    "\x1b",
    "\x1b[6~",
    "j",
    "\r",
    "d",
    "\x1b",
    "\x1b",
    "n",
    "\x1b",
    "p",
    "\x1b",
    "y",
    "\x1b",
    "G",
    "k",
)


@pytest.mark.parametrize("pane", ["overview", "datasets", "runs", "models", "monitor", "deployments", "journal"])
def test_nothing_of_a_name_reaches_the_terminal_but_its_letters(env: dict[str, str], pane: str) -> None:
    with Terminal(pane, env=env, size=(140, 45)) as terminal:
        terminal.wait("● live")
        for keys in WALK:
            terminal.press(keys)
            terminal.rest(0.15)
        terminal.press("\x1b\x1b")
        terminal.rest(0.2)
        terminal.press("\x03")
        terminal.rest(0.2)
        # What came last may be half a sequence, or half a letter: the rest of it is still under way.
        harmless(terminal.written[: terminal.written.rindex(b"\x1b[")])


@pytest.mark.parametrize(
    "args",
    [("run", "list"), ("model", "list"), ("alert", "list"), ("journal", "list"), ("monitor", "show", WATCHED)],
    ids=lambda args: " ".join(args[:2]),
)
def test_lists_on_a_terminal_are_coloured_by_the_program_alone(env: dict[str, str], args: tuple[str, ...]) -> None:
    with Terminal(*args, env=env, size=(140, 45)) as terminal:
        assert terminal.end(180) == 0
        while terminal.read(0.1):
            pass
        harmless(terminal.written)
        assert set(re.findall(rb"\x1b\[([0-9;]*)m", terminal.written)) <= {b"0", b"2", b"31", b"32", b"33", b"36"}
