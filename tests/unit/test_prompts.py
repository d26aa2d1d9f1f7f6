"""Prompts: what their text wants, and what may take another's place."""

from __future__ import annotations

import json

import pytest

from backends.contract import Mutation, Refused
from backends.entities import ModelFile, Signature
from backends.local import open_local
from console.promotion.case_facts import facts_of
from console.promotion.case_parts import parts
from console.promotion.promote import case_for, promote
from console.promotion.prompts import TEXT, TYPE, difference, only_alias, text_of, variables_of
from console.promotion.rollback import rollback
from console.promotion.undo import undo, undoable

ME = Mutation("ann@box", reason="because")


@pytest.fixture
def backend(tmp_path):
    opened = open_local(tmp_path / "workspace")
    opened.registry.create("greet", ME, kind="prompt")
    yield opened
    opened.close()


def version(backend, text, kind="text", name="greet"):
    return backend.registry.register(
        name, run="", file=ModelFile(), signature=Signature(), mutation=ME, tags={TEXT: text, TYPE: kind}
    )


def test_a_text_names_what_callers_fill_in_once_and_in_order(backend):
    found = version(backend, "Say {{ b }} to {{a.c}}, {{b}}. {not} {{ 1no }} {{}} {{é}}")
    assert variables_of(found) == ("b", "a.c")


def test_a_chat_is_read_as_its_messages(backend):
    said = json.dumps([{"role": "system", "content": "Be {{mood}}."}, {"role": "user", "content": "Hi"}])
    found = version(backend, said, "chat")
    assert text_of(found) == "system: Be {{mood}}.\n\nuser: Hi"
    assert variables_of(found) == ("mood",)
    assert text_of(version(backend, "[1, 2]", "chat")) == "[1, 2]"


def test_the_difference_shows_lines_that_go_and_come(backend):
    first, second = version(backend, "a\nb\nc\nd\ne\nf\ng"), version(backend, "a\nB\nc\nd\ne\nf\nG")
    assert difference(first, second) == [" a", "-b", "+B", " c", "…", " f", "-g", "+G"]
    assert difference(None, first)[:2] == ["+a", "+b"]
    assert difference(first, first) == []


def test_a_prompt_is_promoted_by_gates_of_its_own_and_goes_back(backend):
    version(backend, "Say {{word}}")
    version(backend, "Please say {{word}}")
    promote(backend, "greet", "1", "production", ME, expected=None)
    case = case_for(backend, "greet", "2", "production")
    assert case.prompt
    assert {(gate.gate, gate.status.value, gate.value) for gate in case.gates} == {
        ("text", "pass", "19 characters"), ("type", "pass", "text"), ("variables", "pass", "same"),
    }  # fmt: skip
    promote(backend, "greet", "2", "production", ME, expected="1")
    assert rollback(backend, "greet", "production", ME, expected="2").version == "1"
    assert undo(backend, undoable(backend, "ann@box"), ME).version == "2"
    assert only_alias(backend.registry.get("greet")) == "production"


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("Say {{word}} to {{whom}}", "text", "variables: adds whom"),
        ("  ", "text", "text: none"),
        ('[{"role": "user", "content": "{{word}}"}]', "chat", "type: chat"),
    ],
)
def test_what_callers_could_not_use_is_refused(backend, text, kind, says):
    version(backend, "Say {{word}}")
    version(backend, text, kind)
    promote(backend, "greet", "1", "production", ME, expected=None)
    with pytest.raises(Refused, match=says):
        promote(backend, "greet", "2", "production", ME, expected="1")
    assert backend.registry.get("greet").aliases == {"production": "1"}


def test_a_version_without_text_is_not_put_back(backend):
    for text in ("", "Say {{word}}"):
        version(backend, text)
    for at, number in ((None, "1"), ("1", "2")):
        backend.registry.set_alias("greet", "production", number, expected=at, mutation=ME)
    with pytest.raises(Refused, match="its text is none"):
        rollback(backend, "greet", "production", ME, expected="2")


def test_a_model_cannot_pass_its_gates_by_looking_like_a_prompt(backend):
    """Whoever may tag a version must not choose by what it is judged."""
    found = version(backend, "Say {{word}}", name="churn")
    backend.registry.set_tags("churn", found.version, {"mlflow.prompt.is_prompt": "true"}, ME)
    gates = {gate.gate for gate in case_for(backend, "churn", found.version, "champion").gates}
    assert "artifact" in gates
    assert "text" not in gates


def test_the_case_of_a_prompt_has_its_text_and_nothing_of_models(backend):
    version(backend, "Hi {{name}}.")
    backend.registry.set_alias("greet", "live", "1", expected=None, mutation=ME)
    version(backend, "Hello {{name}}.")
    found = {each.title: each for each in parts(facts_of(backend, case_for(backend, "greet", "2", "live")))}
    assert list(found) == ["verdict", "text", "lineage"]
    assert {"-Hi {{name}}.", "+Hello {{name}}."} <= {
        line.replace("- ", "-").replace("+ ", "+") for line in found["text"].lines
    }
    assert {gate.gate for gate in found["text"].gates} == {"text", "type", "variables"}
