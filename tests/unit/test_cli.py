"""The command line itself: where options may stand, what errors say, which code is left with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from backends import contract
from backends.entities import GateResult, GateStatus
from backends.query import QueryError
from console.cli.exit import Exit, problem_of
from console.cli.main import NOUNS, main, root
from console.cli.output import json_text
from console.moment import moment


def leave(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Run one command line in this process: code, stdout, stderr."""
    code = main(args)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_every_noun_has_its_module_and_a_line_of_help() -> None:
    ctx = click.Context(root)
    for noun, line in NOUNS.items():
        command = root.get_command(ctx, noun)
        assert command is not None
        assert command.name == noun
        assert command.help
        assert line.endswith(".")


def test_every_verb_says_what_it_does_and_takes_the_shared_options(capsys: pytest.CaptureFixture[str]) -> None:
    ctx = click.Context(root)
    for noun in NOUNS:
        command = root.get_command(ctx, noun)
        verbs = [()] if not isinstance(command, click.Group) else [(verb,) for verb in command.commands]
        for verb in verbs:
            code, out, err = leave(capsys, noun, *verb, "--help")
            assert code == 0, err
            assert "--json" in out
            assert "--workspace" in out


def test_help_of_the_root_names_nouns_without_importing_them() -> None:
    script = (
        "import sys; from console.cli.main import main; main(['--help']);"
        "loaded = [name for name in sys.modules if name.startswith('console.cli.')];"
        "print(sorted(loaded), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "monitor" in done.stdout
    assert done.stderr.strip() == "['console.cli.exit', 'console.cli.main', 'console.cli.output', 'console.cli.verb']"


@pytest.mark.parametrize(
    "args", [("--json", "context", "list"), ("context", "--json", "list"), ("context", "list", "--json")]
)
def test_json_may_stand_anywhere(capsys: pytest.CaptureFixture[str], args: tuple[str, ...]) -> None:
    code, out, _ = leave(capsys, *args)
    assert code == 0
    assert {item["name"] for item in json.loads(out)["items"]} >= {"local"}
    assert json.loads(out)["next"] is None


def test_a_mistyped_verb_is_usage_and_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = leave(capsys, "run", "lst")
    assert (code, out) == (Exit.USAGE, "")
    assert "did you mean list?" in err


def test_a_mistyped_noun_is_usage_and_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = leave(capsys, "datset", "list", "--json")
    assert code == Exit.USAGE
    problem = json.loads(err)["error"]
    assert problem["kind"] == "Usage"
    assert problem["exit"] == 2
    assert "did you mean dataset?" in problem["message"]


def test_a_noun_alone_shows_its_verbs_on_stderr_and_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = leave(capsys, "run")
    assert (code, out) == (Exit.USAGE, "")
    assert "compare" in err


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (contract.Refused("no"), Exit.FAILED, "Refused"),
        (contract.Conflict("moved"), Exit.FAILED, "Conflict"),
        (contract.Unsupported("never"), Exit.FAILED, "Unsupported"),
        (contract.Invalid("bad", "target"), Exit.USAGE, "Invalid"),
        (contract.NotFound("gone"), Exit.USAGE, "NotFound"),
        (contract.Unreachable("away", retry_at=5), Exit.UNREACHABLE, "Unreachable"),
        (contract.Unauthorized("who"), Exit.UNAUTHORIZED, "Unauthorized"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, "Interrupted"),
        (click.UsageError("what"), Exit.USAGE, "Usage"),
        (OSError(28, "No space left on device", "x.db"), Exit.FAILED, "System"),
        (RuntimeError("odd"), Exit.FAILED, "Defect"),
    ],
)
def test_each_error_has_one_code_and_one_kind(error: BaseException, code: Exit, kind: str) -> None:
    problem = problem_of(error)
    assert (problem.exit, problem.kind) == (code, kind)


def test_every_error_of_the_contract_is_mapped_to_other_than_a_defect() -> None:
    for kind in contract.BackendError.__subclasses__():
        assert problem_of(kind("said")).kind == kind.__name__


def test_a_refusal_carries_its_gates_and_an_invalid_its_field() -> None:
    gate = GateResult(gate="better than champion", status=GateStatus.FAIL, value="-0.02")
    assert problem_of(contract.Refused("gate failed", [gate])).gates == (gate,)
    assert problem_of(contract.Invalid("no such column", "target")).field == "target"


def test_a_query_error_is_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    from backends.query import RUN_FIELDS, parse

    with pytest.raises(QueryError) as caught:
        parse("status = = 3", RUN_FIELDS)
    assert problem_of(caught.value).exit == Exit.USAGE


def test_hostile_text_in_an_error_reaches_the_terminal_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = leave(capsys, "run", "\x1b]52;c;aGk=\x07[red]\u202e")
    assert code == Exit.USAGE
    assert not set("\x1b\x07\u202e") & set(err)


def test_json_output_holds_no_character_a_terminal_obeys_and_means_the_same() -> None:
    hostile = "\x1b]52;c;x\x07 \x9b31m \u202e \u200b \x7f é ✓"
    text = json_text({"name": hostile})
    assert not any(
        ord(character) < 32 or 0x7F <= ord(character) < 0xA0 or character in "\u202e\u200b" for character in text
    )
    assert json.loads(text) == {"name": hostile}


def test_times_are_read_as_iso_ages_and_milliseconds() -> None:
    assert moment("2013-04-12T14:00Z") == 1_365_775_200_000
    assert moment("2013-04-12T14:00+02:00") == 1_365_768_000_000
    assert moment("1365775200000") == 1_365_775_200_000
    assert moment("2h") < moment("1h") < moment("1s")
    with pytest.raises(contract.Invalid, match="yesterdayish: not a time"):
        moment("yesterdayish")


def test_ctrl_c_leaves_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("console.cli.context.load_config", interrupted)
    code, out, _ = leave(capsys, "context", "list")
    assert (code, out) == (Exit.INTERRUPTED, "")


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "console.cli.main", "completion", "bash"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0
    assert err == b""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    code, out, _ = leave(capsys, "completion", shell)
    assert code == 0
    assert "_MLOPS_CONSOLE_COMPLETE" in out


def test_completion_answers_the_shell_with_verbs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "console.cli.main"],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "_MLOPS_CONSOLE_COMPLETE": "bash_complete",
            "COMP_WORDS": "mlops-console model pro",
            "COMP_CWORD": "2",
        },
    )
    assert "promote" in done.stdout
