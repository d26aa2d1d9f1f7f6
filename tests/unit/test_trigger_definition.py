"""A trigger as it is written: read, refused with the place and the nearest word, written back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import Invalid, NotFound
from console.triggers.definition import data_of, model_of, parse_trigger, span, to_toml

RECIPE = """\
dataset = "flights@3"
target = "late"
task = "classification"
register = "flights"
[estimator]
class = "sklearn.linear_model.LogisticRegression"
"""

WHOLE = """\
name = "retrain-late"
note = 'the "late" model'
[when]
alert = "live"
metric = "auc"
severity = "critical"
[do]
retrain = "late.toml"
promote = true
[limits]
per_day = 1
cooldown = "6 h"
run_minutes = 30
cpu_hours = 2
"""


def test_a_definition_is_read_with_its_recipe_and_comes_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "late.toml").write_text(RECIPE)
    found = parse_trigger(WHOLE, "t.toml", base=tmp_path)
    assert (found.do.what, found.do.retrain, found.do.workdir) == ("retrain", RECIPE, str(tmp_path))
    assert (model_of(found.do), data_of(found.do)) == ("flights", "flights")
    assert (found.limits.per_day, span(found.limits.cooldown), found.limits.failures) == (1, 21_600_000, 3)
    assert parse_trigger(to_toml(found), "again") == found


def test_a_schedule_without_a_zone_is_meant_in_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    found = parse_trigger('name = "n"\n[when]\nschedule = "@daily"\n[do]\ncheck = "flights"\n')
    assert found.when.timezone == "Asia/Tokyo"


def changed(old: str, new: str) -> str:
    assert old in WHOLE
    return WHOLE.replace(old, new)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (changed("alert =", "alerts ="), "t.toml:4: 'alerts' is not a key of [when]; did you mean 'alert'?"),
        (changed("[limits]", "[limit]"), "'limit' is not a key of a trigger; did you mean 'limits'?"),
        (changed("per_day = 1", 'per_day = "one"'), "t.toml:11: trigger: limits.per_day"),
        (changed('"6 h"', '"6 moons"'), "limits.cooldown: '6 moons' is no span of time"),
        (changed("per_day = 1", "per_day = -1"), "limits.per_day: -1 is not 0 (no limit) or more"),
        (changed("promote = true", 'rollback = "flights"'), "do: says retrain and rollback; wanted is one of"),
        (changed('alert = "live"', 'alert = "live"\nschedule = "@daily"'), "when: says alert and schedule"),
        (changed('metric = "auc"', 'missed = "skip"'), "t.toml:5: missed goes with schedule"),
        (changed('retrain = "late.toml"\npromote = true', 'check = "x"\nworkers = "2"'), "workers goes with scale"),
        (changed('"retrain-late"', '"retrain late"'), "name: 'retrain late': letters, digits"),
        (changed("[do]", "[done]"), "needs a table [do]"),
        ('name = "s"\n[when]\nhand = true\n[do]\nscale = "live"\nworkers = "lots"\n', "do.workers: 'lots' is neither"),
        ('name = "s"\n[when]\nmonitor = "live"\n[do]\ncheck = "d"\n', "how many rows have to land is not said"),
        ('name = "s"\n[when]\nschedule = "@dayly"\n[do]\ncheck = "d"\n', "known are @hourly"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "late.toml").write_text(RECIPE)
    with pytest.raises(Invalid) as told:
        parse_trigger(text, "t.toml", base=tmp_path)
    assert said in str(told.value)


def test_a_recipe_that_is_not_there_or_will_not_do_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no recipe file .*late\.toml"):
        parse_trigger(WHOLE, "t.toml", base=tmp_path)
    (tmp_path / "late.toml").write_text(RECIPE.replace("LogisticRegression", "x").replace("target", "tarket"))
    with pytest.raises(Invalid, match="tarket"):
        parse_trigger(WHOLE, "t.toml", base=tmp_path)
    (tmp_path / "late.toml").write_text(RECIPE.replace('register = "flights"\n', ""))
    with pytest.raises(Invalid, match=r"do\.model: which model"):
        parse_trigger(WHOLE, "t.toml", base=tmp_path)
    (tmp_path / "late.toml").write_text("system_metrics = false\n" + RECIPE)
    with pytest.raises(Invalid, match="nobody counts what its runs take"):
        parse_trigger(WHOLE, "t.toml", base=tmp_path)


def test_a_trigger_that_would_call_for_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "late.toml").write_text(RECIPE)
    text = 'name = "loop"\n[when]\ndataset = "flights"\n[do]\nretrain = "late.toml"\nrows_of = "live"\n'
    with pytest.raises(Invalid, match="fire for ever"):
        parse_trigger(text, "t.toml", base=tmp_path)


@pytest.mark.parametrize(
    ("text", "value"), [("", 0), ("0", 0), ("90 s", 90_000), ("1.5h", 5_400_000), ("2 d", 172_800_000)]
)
def test_spans(text: str, value: int) -> None:
    assert span(text) == value
