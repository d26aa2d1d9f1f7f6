"""Triggers with a real agent: what is due is done, once, within its limits, and whoever is killed is gone on from."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend, Mutation
from backends.entities import (
    Alert,
    AlertState,
    Deployment,
    Firing,
    FiringState,
    Monitor,
    RunStatus,
    Target,
    TriggerState,
)
from backends.local import open_local
from console.agent import agent_log, ensure_agent, stop_agent
from console.triggers.create import change_trigger, create_trigger, fire, pause, resume
from console.triggers.definition import parse_trigger
from tests.monitored import until

ME = Mutation("ann@box", "a test")


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    home = tmp_path / "workspace"
    made = open_local(home)
    yield made
    stop_agent(home)
    for run in made.need("runs").page(limit=100).items:
        if not run.status.ended:
            made.need("launcher").cancel(run.id, ME)
    made.close()


def home_of(backend: Backend) -> Path:
    assert backend.home is not None
    return backend.home


def add(backend: Backend, text: str) -> None:
    create_trigger(backend, parse_trigger(text, "test", base=home_of(backend).parent), ME)


def firings(backend: Backend, name: str = "") -> tuple[Firing, ...]:
    found: tuple[Firing, ...] = backend.need("triggers").firings(name)
    return found


def ended(backend: Backend, name: str, count: int = 1, seconds: float = 180.0) -> list[Firing]:
    """Its firings, the oldest first, once so many have ended."""

    def look() -> list[Firing]:
        found = list(reversed(firings(backend, name)))
        return found if sum(each.state.ended for each in found) >= count else []

    try:
        return until(look, seconds=seconds, what=f"{count} ends of {name}")
    except AssertionError:
        raise AssertionError(f"{firings(backend, name)}\n{agent_log(home_of(backend))}") from None


def alert(backend: Backend, number: int = 1, **more: object) -> Alert:
    made = Alert(
        id=f"alert{number}", monitor="live", metric="auc", state=AlertState.FIRING, opened_at=number,
        text="AUC 0.61", severity="critical",
    )  # fmt: skip
    made = msgspec.structs.replace(made, **more)
    backend.need("monitors").put_alert(made)
    return made


def serving(backend: Backend) -> None:
    """A deployment that nobody starts: its definition is what is scaled."""
    backend.need("deployments").create(
        Deployment(name="live", model="churn", targets=(Target(version="1"),), desired="stopped"), ME
    )


def watched(backend: Backend) -> None:
    backend.need("monitors").put(Monitor(name="live", model="churn"), ME)


SCALE = 'name = "more"\n[when]\nalert = "live"\nseverity = "critical"\n[do]\nscale = "live"\nworkers = "+1"\n'


def actions(backend: Backend, target: str) -> list[tuple[str, str, str]]:
    page = backend.need("journal").page(limit=200).items
    return [(entry.action, entry.actor, entry.outcome) for entry in reversed(page) if entry.target == target]


def test_an_alert_is_acted_on_once_and_the_journal_says_by_whom_and_why(backend: Backend) -> None:
    watched(backend)
    serving(backend)
    alert(backend, 0)  # it was open before the trigger was made
    add(backend, SCALE)
    ensure_agent(home_of(backend))
    alert(backend, 1, severity="warn")
    alert(backend, 2)
    (done,) = ended(backend, "more")
    assert (done.state, done.reason) == (FiringState.DONE, "live: 1 → 2 worker(s)")
    assert "alert alert2 on live: AUC 0.61" in done.cause
    assert backend.need("deployments").get("live").workers == 2
    (scaled,) = [each for each in backend.need("journal").page().items if each.action == "deploy.scale"]
    assert (scaled.actor, "alert alert2 on live" in scaled.reason) == ("trigger:more", True)
    assert actions(backend, "more")[1:] == [
        ("trigger.fire", "trigger:more", "done"), ("trigger.end", "trigger:more", "done"),
    ]  # fmt: skip
    # The alert stays, the agent is another: it is not acted on again.
    stop_agent(home_of(backend))
    ensure_agent(home_of(backend))
    alert(backend, 3, severity="warn")
    until(lambda: agent_log(home_of(backend)).count(" starts in ") == 2)
    time.sleep(1.0)
    assert len(firings(backend)) == 1


def test_a_schedule_is_done_when_it_is_due_by_the_agents_clock(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving(backend)
    monkeypatch.setenv("MLOPS_CONSOLE_CLOCK", "2027-03-28T01:00:00+01:00")
    add(
        backend,
        'name = "night"\n[when]\nschedule = "30 2 * * *"\ntimezone = "Europe/Berlin"\n[do]\nscale = "live"\n'
        'workers = "3"\n',
    )
    # 02:30 does not come on that day: it is done when the clocks have gone forward to 03:00, and not a second before.
    monkeypatch.setenv("MLOPS_CONSOLE_CLOCK", "2027-03-28T01:59:58+01:00")
    ensure_agent(home_of(backend))
    (done,) = ended(backend, "night")
    assert (done.state, done.cause) == (FiringState.DONE, "due at 2027-03-28 03:00 CEST")
    assert backend.need("deployments").get("live").workers == 3


@pytest.mark.parametrize(("missed", "count"), [("once", 1), ("skip", 0)])
def test_times_that_passed_while_no_agent_ran_are_made_up_for_once_or_not_at_all(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, missed: str, count: int
) -> None:
    serving(backend)
    monkeypatch.setenv("MLOPS_CONSOLE_CLOCK", "2027-01-01T12:00:00+00:00")
    add(
        backend,
        f'name = "hourly"\n[when]\nschedule = "@hourly"\ntimezone = "UTC"\nmissed = "{missed}"\n[do]\n'
        'scale = "live"\nworkers = "+1"\n',
    )
    monkeypatch.setenv("MLOPS_CONSOLE_CLOCK", "2027-01-02T12:30:00+00:00")
    ensure_agent(home_of(backend))
    store = backend.need("triggers")
    until(lambda: (store.get("hourly").status.next_at or 0) > 1_798_893_000_000)
    if count:
        (done,) = ended(backend, "hourly")
        assert done.cause == "due at 2027-01-02 12:00 UTC, once for 24 times that passed"
    else:
        time.sleep(1.0)
        assert firings(backend, "hourly") == ()


def test_files_that_land_in_a_folder_start_a_command_which_is_a_run(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "old.csv").write_text("a\n1\n")
    add(
        backend,
        'name = "files"\n[when]\nfolder = "in"\nfiles = 2\n[do]\ncommand = "sh -c \'echo {got} $PWD\'"\n'
        '[limits]\ncooldown = "0"\n',
    )
    ensure_agent(home_of(backend))
    for name in ("b.csv", "a.csv"):
        (tmp_path / "in" / name).write_text("a\n1\n")
    (done,) = ended(backend, "files")
    assert (done.state, "2 files landed" in done.cause) == (FiringState.DONE, True), done
    run = backend.need("runs").get(done.run)
    assert (run.status, run.tags["console.trigger"]) == (RunStatus.FINISHED, "files")
    assert "{got}" in backend.need("launcher").log(done.run).text


def test_the_rate_and_the_quiet_between_are_kept_and_a_person_is_not_held_to_them(backend: Backend) -> None:
    watched(backend)
    serving(backend)
    add(backend, SCALE + '[limits]\nper_day = 2\ncooldown = "0"\n')
    ensure_agent(home_of(backend))
    for number in (1, 2, 3):
        alert(backend, number)
        ended(backend, "more", number)
    states = [(each.state, each.reason.partition(":")[0]) for each in ended(backend, "more", 3)]
    assert states == [(FiringState.DONE, "live"), (FiringState.DONE, "live"), (FiringState.REFUSED, "rate")]
    fire(backend, "more", ME)
    assert ended(backend, "more", 4)[-1].state is FiringState.DONE
    assert backend.need("deployments").get("live").workers == 4
    held = backend.need("triggers").get("more")
    assert (held.status.state, held.status.failures) == (TriggerState.ACTIVE, 0)  # a refused rate is no failure
    limits = msgspec.structs.replace(held.limits, per_day=0, cooldown="2 h")
    change_trigger(backend, msgspec.structs.replace(held, limits=limits), ME)
    alert(backend, 5)
    last = ended(backend, "more", 5)[-1]
    assert (last.state, last.reason.startswith("cooldown: ")) == (FiringState.REFUSED, True)


def test_two_alerts_at_once_are_acted_on_one_after_the_other(backend: Backend) -> None:
    watched(backend)
    add(
        backend,
        'name = "slow"\n[when]\nalert = "*"\n[do]\ncommand = "sh -c \'while [ ! -e go ]; do sleep 0.05; done\'"\n'
        f'workdir = "{home_of(backend).parent}"\n[limits]\ncooldown = "0"\n',
    )
    alert(backend, 1)
    alert(backend, 2)
    ensure_agent(home_of(backend))

    def one_runs() -> bool:
        states = sorted((each.state.value, each.reason) for each in firings(backend, "slow") if not each.state.ended)
        return [state for state, _ in states] == ["running", "waiting"] and "same trigger" in states[1][1]

    until(one_runs, seconds=180)
    until(lambda: backend.need("runs").count().value == 1)
    (home_of(backend).parent / "go").touch()
    assert [each.state for each in ended(backend, "slow", 2)] == [FiringState.DONE, FiringState.DONE]
    first, second = ended(backend, "slow", 2)  # as they came
    assert (second.started_at or 0) >= (first.ended_at or 0)


def test_a_run_past_its_limit_is_stopped_and_the_firing_has_failed(backend: Backend) -> None:
    add(
        backend,
        'name = "long"\n[when]\nhand = true\n[do]\ncommand = "sleep 300"\n[limits]\nrun_minutes = 0.02\n',
    )
    ensure_agent(home_of(backend))
    fire(backend, "long", ME)
    (failed,) = ended(backend, "long")
    assert failed.state is FiringState.FAILED
    assert "0.02 are allowed (run_minutes)" in failed.reason
    assert backend.need("runs").get(failed.run).status is RunStatus.STOPPED


def test_a_run_that_burns_more_processor_time_than_allowed_is_stopped(backend: Backend) -> None:
    burn = f"{sys.executable} -c 'while True: pass'"
    add(
        backend,
        f'name = "hot"\n[when]\nhand = true\n[do]\ncommand = "{burn}"\n[limits]\nrun_minutes = 5\ncpu_hours = 0.0001\n',
    )
    ensure_agent(home_of(backend))
    fire(backend, "hot", ME)
    (failed,) = ended(backend, "hot")
    assert failed.state is FiringState.FAILED
    assert "CPU hours, and 0.0001 are allowed (cpu_hours)" in failed.reason


def test_a_trigger_that_keeps_failing_stops_and_says_so_until_it_is_resumed(backend: Backend) -> None:
    watched(backend)
    channel = f'command = ["sh", "-c", "cat >> {home_of(backend).parent}/told"]\nmonitors = ["trigger:*"]\n'
    (home_of(backend).parent / "config.toml").write_text(f'[[notify]]\nname = "ops"\nkind = "command"\n{channel}')
    add(
        backend,
        'name = "bad"\n[when]\nalert = "live"\n[do]\ncommand = "false"\n[limits]\ncooldown = "0"\nper_day = 0\n'
        "failures = 2\n",
    )
    ensure_agent(home_of(backend))
    for number in (1, 2):
        alert(backend, number)
        ended(backend, "bad", number)
    store = backend.need("triggers")
    until(lambda: store.get("bad").status.state is TriggerState.STOPPED, seconds=180)
    assert store.get("bad").status.reason.startswith("it failed 2 times in a row, the last one: run ")
    assert ("trigger.stop", "trigger:bad", "done") in actions(backend, "bad")
    (calls,) = backend.need("monitors").alerts("trigger:bad", open_only=True)
    assert (calls.severity, calls.state, calls.metric) == ("critical", AlertState.FIRING, "stopped")
    assert calls.text.startswith("trigger bad stopped itself: it failed 2 times in a row, the last one: run ")
    assert calls.text.endswith("mlops-console trigger resume bad")
    told = home_of(backend).parent / "told"
    until(told.exists, seconds=180, what="the channel's command")
    until(lambda: "trigger:bad" in told.read_text(), what="its words")
    alert(backend, 3)
    time.sleep(1.5)
    assert len(firings(backend, "bad")) == 2
    resume(backend, "bad", ME)
    assert store.get("bad").status.failures == 0
    (over,) = backend.need("monitors").alerts("trigger:bad")
    assert (over.state, over.text.endswith("Resolved: it is active")) == (AlertState.RESOLVED, True)
    alert(backend, 4)
    assert [each.cause[:12] for each in ended(backend, "bad", 3)][-1] == "alert alert4"


def test_a_dry_run_says_what_it_would_do_and_does_nothing(backend: Backend) -> None:
    watched(backend)
    serving(backend)
    add(backend, SCALE + "[limits]\ndry_run = true\n")
    ensure_agent(home_of(backend))
    alert(backend, 1)
    (told,) = ended(backend, "more")
    assert (told.state, told.reason) == (FiringState.DRY_RUN, "would scale live: 1 → 2 worker(s)")
    assert backend.need("deployments").get("live").workers == 1


def test_a_paused_trigger_leaves_alone_what_comes_meanwhile(backend: Backend) -> None:
    watched(backend)
    serving(backend)
    add(backend, SCALE + '[limits]\ncooldown = "0"\n')
    pause(backend, "more", ME)
    ensure_agent(home_of(backend))
    alert(backend, 1)
    time.sleep(1.0)
    resume(backend, "more", ME)
    alert(backend, 2)
    (done,) = ended(backend, "more")
    assert "alert2" in done.cause
