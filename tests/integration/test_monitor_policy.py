"""A policy replayed on stored history before it is saved, by the command line, on a real champion's windows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Backend, Invalid, NotFound
from console.cli.main import main
from console.monitoring.alarms.replaying import replay_offloaded, told
from console.monitoring.create import create_monitor
from console.monitoring.feeds.ingest import ingest_batch
from tests.monitored import WHO, deliveries, traffic

DAYS = 24
SHIFT_FROM = 16
RULES = """
[[rule]]
name = "auc low"
metric = "auc"
below = 0.7
severity = "critical"

[[rule]]
name = "weight"
metric = "drift.*.psi"
above = 0.25
k = 2
n = 3

[[rule]]
name = "nervous"
metric = "drift.carrier.psi"
above = 0.004

[[rule]]
name = "slow"
metric = "service.p95"
above = 100
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policy") / "w"


@pytest.fixture(scope="module")
def backend(home: Path) -> Iterator[Backend]:
    made = deliveries(home)
    create_monitor(
        made, "deliveries", "deliveries", mutation=WHO, time_column="at", label_column="late", id_column="id"
    )
    for day in range(DAYS):
        frame = traffic(400, day, day=f"2024-03-{day + 1:02d}", shift=3.0 if day >= SHIFT_FROM else 0.0)
        file = home / f"day{day}.csv"
        frame.to_csv(file, index=False)
        assert ingest_batch(made, "deliveries", file).state == "stored"
    yield made
    made.close()


def test_a_replay_tells_when_each_rule_would_have_fired(backend: Backend) -> None:
    found = replay_offloaded(backend, "deliveries", RULES)
    by_name = {each.rule.name: each for each in found.rules}
    assert (found.windows, round(found.days)) == (DAYS, DAYS)
    (episode,) = by_name["weight"].episodes
    day = (episode.opened_at - found.first) // 86_400_000
    assert SHIFT_FROM <= day <= SHIFT_FROM + 1
    assert "drift.weight.psi" in episode.text
    assert by_name["weight"].quiet is not None
    assert by_name["weight"].quiet.per_week < 0.05
    # A limit that 400 quiet rows reach by chance cries wolf, and the replay says so beforehand.
    nervous = by_name["nervous"].quiet
    assert nervous is not None
    assert nervous.low > 0.5
    assert nervous.low < nervous.per_week < nervous.high
    assert by_name["slow"].quiet is None
    assert "nobody can say" in told(by_name["slow"], found.days)
    assert "expected false alarms" in told(by_name["weight"], found.days)


def test_what_a_replay_expects_is_what_quiet_days_bring(backend: Backend) -> None:
    """The expected rate of a rule against fresh quiet traffic that the replay has never seen."""
    from console.monitoring.alarms.alerts import evaluate
    from console.monitoring.counted.columns import count_features
    from console.monitoring.counted.windows import make_window
    from console.monitoring.feeds.champion import load_champion

    rules = '[[rule]]\nname = "r"\nmetric = "drift.distance.psi"\nabove = 0.03\n'
    (expected,) = replay_offloaded(backend, "deliveries", rules).rules
    assert expected.quiet is not None
    monitor = backend.need("monitors").get("deliveries")
    champion = load_champion(backend, monitor)
    import msgspec

    watched, known, fired = msgspec.structs.replace(monitor, rules=rules), {}, 0
    recent, days = [], 200
    for day in range(days):
        counts = count_features(traffic(400, 7000 + day), champion.profile, champion.layout)
        window = make_window(
            "deliveries", champion.profile, champion.layout, counts, start=day * 86_400_000,
            end=(day + 1) * 86_400_000, version=champion.version.version,
        )  # fmt: skip
        recent = [*recent[-9:], window]
        for alert in evaluate(watched, champion.profile, recent, list(known.values())):
            fired += alert.id not in known
            known[alert.id] = alert
    weekly = fired * 7 / days
    # Both sides are samples: the interval of the expectation, and two standard errors of what was seen.
    slack = 2.5 * (fired**0.5) * 7 / days + 0.1
    assert expected.quiet.low - slack <= weekly <= expected.quiet.high + slack


def test_a_policy_is_checked_replayed_and_saved(
    backend: Backend, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = home / "policy.toml"
    file.write_text(RULES)
    at = ["--workspace", str(home)]
    assert main([*at, "--json", "monitor", "policy", "deliveries", "--file", str(file), "--check"]) == 0
    assert {each["rule"]["name"] for each in json.loads(capfd.readouterr().out)["rules"]} >= {"weight", "slow"}
    assert backend.need("monitors").get("deliveries").rules == ""
    assert main([*at, "monitor", "policy", "deliveries", "--file", str(file), "--reason", "calmer"]) == 0
    said = capfd.readouterr()
    assert "weight: would have fired once" in said.err or "weight: would have fired 1 time" in said.err
    assert backend.need("monitors").get("deliveries").rules == RULES
    assert main([*at, "monitor", "policy", "deliveries"]) == 0
    assert capfd.readouterr().out == RULES
    # Knobs turn the default rules only.
    assert main([*at, "monitor", "policy", "deliveries", "k=2"]) == 2
    file.write_text(RULES.replace("below", "bellow"))
    assert main([*at, "monitor", "policy", "deliveries", "--file", str(file)]) == 2
    assert "did you mean below" in capfd.readouterr().err
    assert backend.need("monitors").get("deliveries").rules == RULES
    assert main([*at, "monitor", "policy", "deliveries", "--default"]) == 0
    assert backend.need("monitors").get("deliveries").rules == ""
    assert main([*at, "monitor", "replay", "deliveries"]) == 0
    assert "performance" in capfd.readouterr().out


def test_without_history_a_replay_says_so(backend: Backend) -> None:
    create_monitor(backend, "empty", "deliveries", mutation=WHO)
    with pytest.raises(NotFound, match="no windows yet"):
        replay_offloaded(backend, "empty", RULES)
    with pytest.raises(Invalid, match="no TOML"):
        replay_offloaded(backend, "empty", "[[")
