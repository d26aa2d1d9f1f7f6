"""Rules about columns that are not those of training: read, obeyed by who reads the rows, and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from backends.contract import Backend, Invalid
from backends.entities import Alert, AlertState, Column, ColumnType
from backends.local import open_local
from console.monitoring.alarms.ack import mute_of
from console.monitoring.alarms.replaying import told
from console.monitoring.alarms.rule_words import rule_words
from console.monitoring.alarms.rules import read_rules, write_rules
from console.monitoring.alarms.schema_rules import kind_of, rule_for
from console.monitoring.create import create_monitor, set_rules
from console.monitoring.feeds.batch import fit_columns
from console.monitoring.feeds.ingest import ingest_batch
from console.monitoring.policy_replay import replay
from tests.monitored import FEATURES, WHO, register, traffic

ALL = '[[rule]]\nname = "columns"\nmetric = "schema"\nseverity = "critical"\ncooldown = "12h"\nrunbook = "https://x"\n'
RENAMED_OFF = '[[rule]]\nname = "renamed"\nmetric = "schema.renamed"\noff = true\n'


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    home = tmp_path_factory.mktemp("workspace")
    made = open_local(home)
    train, held = traffic(1500, 50), traffic(500, 51)
    register(
        made, home / "made", "deliveries",
        train[FEATURES], train["late"].to_numpy(), held[FEATURES], held["late"].to_numpy(), iterations=5,
    )  # fmt: skip
    yield made
    made.close()


def watch(backend: Backend, name: str, rules: str = "") -> None:
    create_monitor(backend, name, "deliveries", mutation=WHO, time_column="at", window="hour")
    if rules:
        set_rules(backend, name, rules, WHO)


def hour(backend: Backend, name: str, folder: Path, number: int, **change: object) -> list[Alert]:
    """The alerts about columns, newest first, after a batch of that hour: `weight="gone"`, or another name or value."""
    rows = traffic(60, number)[["at", *FEATURES]]
    rows["at"] = f"2024-03-01T{number:02d}:30:00Z"
    for column, how in change.items():
        if how == "gone":
            rows = rows.drop(columns=[column])
        elif how == "retyped":
            rows[column] = "heavy"
        else:
            rows = rows.rename(columns={column: how})
    path = folder / f"{name}{number}.csv"
    rows.to_csv(path, index=False)
    assert ingest_batch(backend, name, path).state == "stored"
    return [each for each in backend.need("monitors").alerts(name) if each.metric.startswith("schema.")]


def test_without_a_rule_a_column_that_changed_warns(backend: Backend, tmp_path: Path) -> None:
    watch(backend, "plain")
    (raised,) = hour(backend, "plain", tmp_path, 1, weight="gone")
    assert (raised.metric, raised.severity, raised.rule) == ("schema.weight", "warn", "schema")
    assert "nothing in it has a similar name. Rows were counted" in raised.text
    (over,) = hour(backend, "plain", tmp_path, 2)
    assert over.state is AlertState.RESOLVED


def test_a_rule_says_how_loudly_and_how_soon_again(backend: Backend, tmp_path: Path) -> None:
    watch(backend, "loud", ALL)
    (raised,) = hour(backend, "loud", tmp_path, 1, weight="gone")
    assert (raised.severity, raised.rule, raised.runbook) == ("critical", "columns", "https://x")
    assert mute_of(raised, 1).rule == "schema.weight", "of this column alone"
    hour(backend, "loud", tmp_path, 2)
    assert len(hour(backend, "loud", tmp_path, 5, weight="gone")) == 1, "three hours after it was over"
    assert len(hour(backend, "loud", tmp_path, 6, carrier="gone")) == 2, "another column is another trouble"
    assert [each.opened_at for each in hour(backend, "loud", tmp_path, 20, weight="gone")][1:], "when it has passed"
    assert {each.state for each in hour(backend, "loud", tmp_path, 21)} == {AlertState.RESOLVED}


def test_one_kind_may_be_off_while_others_are_told(backend: Backend, tmp_path: Path) -> None:
    watch(backend, "choosy", ALL + RENAMED_OFF)
    assert hour(backend, "choosy", tmp_path, 1, weight="Weight") == []
    (raised,) = hour(backend, "choosy", tmp_path, 2, weight="retyped")
    assert kind_of(raised) == "retyped"
    set_rules(backend, "choosy", ALL.replace('severity = "critical"', "off = true"), WHO)
    (ended,) = hour(backend, "choosy", tmp_path, 3, weight="retyped")
    assert (ended.state, ended.text.endswith("the policy has turned it off.")) == (AlertState.RESOLVED, True)


def test_a_replay_says_which_it_would_have_opened(backend: Backend, tmp_path: Path) -> None:
    watch(backend, "past")
    for number, change in enumerate(({"weight": "gone"}, {}, {"weight": "gone"}, {}, {"carrier": "Carrier"}, {}), 1):
        hour(backend, "past", tmp_path, number, **change)
    monitor = backend.need("monitors").get("past")

    def counts(rules: str) -> dict[str, int]:
        found = replay(backend, msgspec.structs.replace(monitor, rules=rules))
        assert all("none changes by chance" in told(each, found.days) for each in found.rules)
        return {each.rule.name: len(each.episodes) for each in found.rules}

    assert counts(ALL.replace('cooldown = "12h"\n', "")) == {"columns": 3}
    assert counts(ALL) == {"columns": 2}
    assert counts(ALL + RENAMED_OFF) == {"columns": 1, "renamed": 0}


def test_the_kind_is_known_again_by_the_words() -> None:
    features = [
        Column(name=name, type=ColumnType.FLOAT) for name in ("a renamed? is not in", "weight", "height", "no value is")
    ]
    frame = pd.DataFrame({"Weight": [1.0, 2.0], "height": ["x", "y"], "no value is": ["1", "z"]})
    _, events = fit_columns(frame, features, "file.csv")
    assert len(events) == 4
    for event in events:
        alert = Alert(
            id="a", monitor="m", metric=f"schema.{event.column}", state=AlertState.FIRING, opened_at=1, text=event.text
        )
        assert kind_of(alert) == event.kind.partition(" ")[0]


def test_rules_are_read_written_and_said() -> None:
    rules = read_rules(ALL + RENAMED_OFF)
    assert read_rules(write_rules(rules)) == rules
    assert [rule_for(rules, kind).name for kind in ("gone", "renamed", "unreadable values")] == [
        "columns", "renamed", "columns",
    ]  # fmt: skip
    assert [rule_words(rule) for rule in rules] == [
        "a column that is not as in training, silent for 12h after", "a column that is renamed: nothing is told",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ALL + "above = 1\n", "above has no meaning for schema"),
        (ALL.replace('"schema"', '"schema.moved"'), "is none of schema, schema.gone"),
        ('[[rule]]\nname = "p"\nmetric = "service.p95"\nabove = 1\noff = true\n', "off is for metric = 'schema'"),
    ],
)
def test_what_such_a_rule_cannot_say_is_told(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read_rules(text)
