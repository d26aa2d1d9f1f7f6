"""The queue for real: its order, why something waits, and a pause that outlives the agent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.contract import Backend, Conflict, Invalid, Mutation, Refused
from backends.entities import LaunchSpec, Needs, RunStatus
from backends.local import open_local
from console.agent import ensure_agent, stop_agent

ME = Mutation("someone@somewhere", "the night is for others")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = open_local(tmp_path)
    yield backend
    for run in backend.need("runs").page(limit=100).items:
        if not run.status.ended:
            backend.need("launcher").cancel(run.id, ME)
    stop_agent(tmp_path)
    backend.close()


def submit(backend: Backend, script: str, needs: Needs = Needs()) -> str:
    run: str = backend.need("runs").create(name="a run", mutation=ME).id
    backend.need("launcher").submit(LaunchSpec(run=run, argv=("sh", "-c", script), grace_s=1.0, needs=needs), ME)
    return run


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def test_what_waits_says_why_and_the_higher_priority_begins_first(backend: Backend, tmp_path: Path) -> None:
    launcher, runs = backend.need("launcher"), backend.need("runs")
    gate = tmp_path / "gate"
    held = submit(backend, f"while [ ! -e {gate} ]; do sleep 0.05; done")
    assert launcher.queue().why(held) == "no agent runs to begin it: mlops-console agent start"
    ensure_agent(tmp_path, slots=1)
    until(lambda: runs.get(held).status is RunStatus.RUNNING)
    early, late = (submit(backend, f"echo {name} >> {tmp_path}/order") for name in ("early", "late"))
    launcher.prioritise(late, 5, ME)
    queue = launcher.queue()
    assert (queue.running, [each.run for each in queue.waiting]) == ((held,), [late, early])
    assert queue.why(late) == "the one slot is taken; it is next"
    assert queue.why(early) == "the one slot is taken; 1 goes before it, 1 by a higher priority"
    gate.touch()
    until(lambda: runs.get(early).status.ended)
    assert (tmp_path / "order").read_text() == "late\nearly\n"
    with pytest.raises(Conflict, match="does not wait in the queue"):
        launcher.prioritise(early, 1, ME)
    with pytest.raises(Invalid, match="wanted -1000 to 1000"):
        launcher.prioritise(early, 10_000, ME)


def test_a_pause_outlives_the_agent_and_lets_what_runs_go_on(backend: Backend, tmp_path: Path) -> None:
    launcher, runs = backend.need("launcher"), backend.need("runs")
    ensure_agent(tmp_path, slots=2)
    gate = tmp_path / "gate"
    running = submit(backend, f"while [ ! -e {gate} ]; do sleep 0.05; done")
    until(lambda: runs.get(running).status is RunStatus.RUNNING)
    launcher.pause(ME)
    with pytest.raises(Conflict, match="paused already, by someone@somewhere"):
        launcher.pause(ME)
    waiting = submit(backend, "true")
    stop_agent(tmp_path)
    ensure_agent(tmp_path, slots=2)
    gate.touch()
    until(lambda: runs.get(running).status.ended)
    time.sleep(1.5)
    assert runs.get(running).status is RunStatus.FINISHED
    assert runs.get(waiting).status is RunStatus.QUEUED
    assert launcher.queue().why(waiting) == "the queue is paused by someone@somewhere: the night is for others"
    launcher.resume(ME)
    until(lambda: runs.get(waiting).status is RunStatus.FINISHED)
    with pytest.raises(Conflict, match="is not paused"):
        launcher.resume(ME)
    actions = [entry.action for entry in backend.need("journal").page(limit=50).items]
    assert {"queue.pause", "queue.resume"} <= set(actions)


def test_runs_begin_as_far_as_there_are_cards_and_memory_and_each_has_its_own(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[contexts.here]\nworkspace = "{tmp_path}"\ncapacity = {{ runs = 9, memory = "8 GB", gpu = 2 }}\n'
    )
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(config))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    launcher, runs = backend.need("launcher"), backend.need("runs")
    ensure_agent(tmp_path)
    script = f"echo cards $CUDA_VISIBLE_DEVICES; while [ ! -e {tmp_path}/gate ]; do sleep 0.05; done"
    with_cards = [submit(backend, script, Needs(gpu=1, memory=3 * 10**9)) for _ in range(2)]
    until(lambda: all("cards" in launcher.log(run).text for run in with_cards))
    until(lambda: all(runs.get(run).status is RunStatus.RUNNING for run in with_cards))
    assert sorted(launcher.log(run).text for run in with_cards) == ["cards 0\n", "cards 1\n"]
    third = submit(backend, script, Needs(gpu=1))
    big = submit(backend, "true", Needs(memory=4 * 10**9))
    queue = launcher.queue()
    assert queue.why(third) == "waits for 1 gpu: 2 of 2 taken by 2 runs; it is next"
    assert queue.why(big) == "waits for 4 GB of memory: 6 of 8 GB taken by 2 runs; 1 goes before it"
    assert "6 of 8 GB of memory" in queue.taken
    stop_agent(tmp_path)
    ensure_agent(tmp_path)  # it knows from the runs' folders whose the cards are
    with pytest.raises(Refused, match=r"it needs 3 gpu, and there are 2 gpu in all"):
        submit(backend, "true", Needs(gpu=3))
    assert runs.get(third).status is RunStatus.QUEUED
    (tmp_path / "gate").touch()
    until(lambda: runs.get(third).status.ended and runs.get(big).status.ended)
    assert launcher.log(third).text in ("cards 0\n", "cards 1\n")
