"""Prompts from a script: listed, shown, promoted, rolled back, taken back."""

from __future__ import annotations

import json

import pytest

from backends.contract import Mutation
from backends.entities import ModelFile, Signature
from backends.local import open_local
from console.cli.main import main
from console.promotion.prompts import TEXT

ME = Mutation("ann@box")


@pytest.fixture
def ask(tmp_path, capsys):
    backend = open_local(tmp_path / "ws")
    registry = backend.need("registry")
    registry.create("greet", ME, kind="prompt")
    for text in ("Say {{word}}.", "Now say {{word}}.", "Say {{word}} to {{whom}}."):
        registry.register("greet", run="", file=ModelFile(), signature=Signature(), mutation=ME, tags={TEXT: text})
    registry.create("churn", ME)
    backend.close()

    def asked(*words, code=0):
        capsys.readouterr()
        assert main(["prompt", *words, "--workspace", str(tmp_path / "ws"), "--json"]) == code
        said = capsys.readouterr()
        return json.loads(said.out) if code == 0 else said.err + said.out

    return asked


def test_a_list_holds_prompts_and_no_models(ask):
    assert [each["name"] for each in ask("list")["items"]] == ["greet"]
    assert [each["version"] for each in ask("versions", "greet")["items"]] == ["3", "2", "1"]


def test_a_version_shows_its_text_and_what_callers_fill_in(ask):
    found = ask("show", "greet", "3")
    assert (found["text"], found["variables"], found["type"]) == (
        "Say {{word}} to {{whom}}.", ["word", "whom"], "text",
    )  # fmt: skip


def test_the_only_alias_is_the_one_that_is_meant(ask):
    assert "--alias" in ask("promote", "greet", "1", code=1)
    ask("promote", "greet", "1", "--alias", "production")
    assert ask("promote", "greet", "2")["alias"] == "production"
    assert ask("rollback", "greet")["version"] == "1"
    assert [move["version"] for move in ask("history", "greet")["items"]] == ["1", "2", "1"]


def test_what_callers_cannot_fill_in_is_refused(ask):
    ask("promote", "greet", "1", "--alias", "production")
    assert "adds whom" in ask("promote", "greet", "3", code=1)
    assert ask("promote", "greet", "3", "--override", "--reason", "callers are ready")["version"] == "3"


@pytest.mark.parametrize("words", [("show", "churn"), ("promote", "churn", "1"), ("versions", "churn")])
def test_a_model_is_no_prompt(ask, words):
    assert "is a model" in ask(*words, code=2)


def test_a_version_says_how_its_aliases_moved(ask, tmp_path, capsys):
    ask("promote", "greet", "1", "--alias", "production", "--reason", "the first")
    ask("promote", "greet", "2")
    assert main(["model", "show", "greet", "1", "--workspace", str(tmp_path / "ws"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(move["version"], move["previous"], move["reason"]) for move in found["history"]] == [
        ("2", "1", ""), ("1", None, "the first"),
    ]  # fmt: skip
    assert main(["model", "show", "greet", "1", "--workspace", str(tmp_path / "ws")]) == 0
    assert "the first" in capsys.readouterr().out
