"""Commands that serve models: read from the user's own file alone, filled in word by word, wrong ones told by line."""

from __future__ import annotations

import pytest

from backends.contract import Invalid
from console.promotion.policy import policy_for
from console.serving.isolated_rule import FILE, serving_rule
from tests.unit.registry import workspace

GOOD = '[[serving]]\nmodel = "churn*"\ncommand = "serve -m {path} -p {port} --name \'{model} v{version}\'"\n'


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config" / "config.toml"))
    (tmp_path / "config").mkdir()
    return tmp_path / "config" / FILE


def test_without_a_rule_there_is_no_command(own):
    assert serving_rule("churn") is None
    own.write_text('[[promotion]]\nmodel = "churn"\n')
    assert serving_rule("churn") is None


def test_the_last_rule_that_fits_counts_and_what_is_filled_in_is_one_word(own):
    own.write_text('[[serving]]\ncommand = "any {path} {port}"\n' + GOOD)
    assert serving_rule("other").words(path="/p", port="1") == ("any", "/p", "1")
    rule = serving_rule("churn-eu")
    words = rule.words(path="/with a space; rm -rf", host="127.0.0.1", port="80", model="{port} $(x)", version="7")
    assert words == ("serve", "-m", "/with a space; rm -rf", "-p", "80", "--name", "{port} $(x) v7")
    assert (rule.health, rule.start_seconds, rule.env) == ("/ping", 120.0, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[serving]\ncommand = "x"\n', "two brackets"),
        ('[[serving]]\nmodel = "a"\n', "names a command"),
        ('[[serving]]\ncomand = "a {path} {port}"\n', "did you mean 'command'"),
        ('[[serving]]\ncommand = "a {path}"\n', "needs {port}"),
        ('[[serving]]\ncommand = "a"\n', "needs {path} and {port}"),
        ('[[serving]]\ncommand = "a {path} {port} {x}"\n', "{x} is not known"),
        ('[[serving]]\ncommand = "a \'b {path} {port}"\n', "cannot be read"),
        ('[[serving]]\ncommand = "a {path} {port}"\nhealth = "ping"\n', "/ping is wanted"),
        ('[[serving]]\ncommand = "a {path} {port}"\nstart_seconds = 0\n', "up to 3600 seconds"),
    ],
)
def test_a_wrong_rule_is_told_with_its_line(own, text, words):
    own.write_text(text)
    with pytest.raises(Invalid) as caught:
        serving_rule("churn")
    assert words in str(caught.value)
    assert f"{FILE}:" in str(caught.value)


def test_a_workspace_cannot_name_commands(own, tmp_path):
    backend = workspace(tmp_path)
    own.write_text(GOOD)
    assert policy_for(backend, "churn", "champion").sources == ()
    (backend.home / FILE).write_text(GOOD)
    with pytest.raises(Invalid, match="where others may write"):
        policy_for(backend, "churn", "champion")
    backend.close()
