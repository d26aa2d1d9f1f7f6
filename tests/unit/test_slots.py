"""Who begins next, and what the others wait for."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.contract import Invalid
from backends.entities import Needs, Request, RequestState
from backends.local.slots import Slots, free_gpus, in_words, launch_payload, machine_gpus, machine_slots, reasons
from console.agent.capacity import capacity_of
from console.sizes import parse_size
from console.training.command_recipe import parse_command_recipe
from console.training.recipe import parse_recipe

GB = 10**9
SLOTS = Slots(runs=10, cpu=4.0, memory=8 * GB, gpus=("0", "1"))


def request(
    name: str, at: int, *, claimed: int | None = None, cpu: float = 0, memory: float = 0, gpu: int = 0
) -> Request:
    state = RequestState.WAITING if claimed is None else RequestState.CLAIMED
    needs = Needs(cpu=cpu, memory=int(memory * GB), gpu=gpu)
    return Request(
        id=name, kind="run.launch", payload=launch_payload(name, needs), state=state, created_at=at, claimed_at=claimed
    )


def test_what_fits_begins_and_what_does_not_says_what_it_waits_for() -> None:
    claimed = [request(f"r{at}", 0, claimed=1, memory=2) for at in range(3)]
    waiting = [request("big", 2, memory=4), request("cores", 3, cpu=5), request("card", 4, gpu=1)]
    assert reasons(waiting, claimed, SLOTS) == [
        "waits for 4 GB of memory: 6 of 8 GB taken by 3 runs",
        "it can never begin: it needs 5 cpu, and there are 4 cpu in all; stop it, or give the workspace more",
        "",
    ]
    assert in_words(claimed, SLOTS) == "0 of 4 cpu, 6 of 8 GB of memory, 0 of 2 gpu taken"


def test_those_that_say_nothing_take_a_slot_and_nothing_else() -> None:
    slots = Slots(runs=2, cpu=1.0, memory=GB)
    assert reasons([request(str(at), at) for at in range(3)], [], slots) == ["", "", "all 2 slots are taken"]


def test_a_small_run_passes_a_big_one_only_where_both_fit() -> None:
    claimed = [request("now", 0, claimed=1, cpu=3)]
    big = request("bigbigbig", 2, cpu=3)
    assert reasons([big, request("fits beside it", 3, cpu=1)], claimed, SLOTS)[1] == ""
    wide = request("widewidewide", 2, cpu=4)
    why = reasons([wide, request("would hold it up", 3, cpu=1)], claimed, SLOTS)
    assert why[1] == "it would hold up run widewide, which is before it"
    passed = [*claimed, request("fits beside it", 3, claimed=5, cpu=1)]
    assert reasons([big, request("another", 6, cpu=1)], passed, SLOTS)[1] != "", "two of them would hold it up"


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=5, max_size=40), st.integers(0, 3))
def test_no_stream_of_small_runs_keeps_a_big_one_waiting(small: list[tuple[int, int]], head: int) -> None:
    """Cores and lasting of runs that come one after another; the big one begins as soon as those before it ended."""
    clock, lasting = 10, {}
    running = [request(f"early{at}", 0, claimed=1, cpu=1) for at in range(head)]
    lasting |= {each.id: 10 + 5 for each in running}
    waiting = [request("big", clock, cpu=4)]
    for number, (cores, last) in enumerate(small):
        clock += 1
        waiting.append(request(str(number), clock, cpu=cores))
        running = [each for each in running if lasting[each.id] > clock]
        for each, why in zip(list(waiting), reasons(waiting, running, SLOTS), strict=True):
            if not why:
                waiting.remove(each)
                running.append(request(each.id, each.created_at, claimed=clock, cpu=each.payload["needs"]["cpu"]))
                lasting[each.id] = clock + last
        assert sum(each.payload["needs"]["cpu"] for each in running) <= 4
    assert clock < 15 or "big" not in [each.id for each in waiting]


def test_cards_are_given_once() -> None:
    assert free_gpus(SLOTS, (), 1) == ("0",)
    assert free_gpus(SLOTS, ("0",), 1) == ("1",)


def test_cards_are_what_the_driver_knows_or_the_variable_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = types.SimpleNamespace(
        nvmlInit=lambda: None, nvmlShutdown=lambda: None, nvmlDeviceGetCount=lambda: 3, NVMLError=RuntimeError
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine_gpus() == ("0", "1", "2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    assert machine_gpus() == ("2", "0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert machine_gpus() == ()


def test_the_context_says_what_its_workspace_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(config))
    said: list[str] = []
    config.write_text(
        f'[contexts.here]\nworkspace = "{tmp_path}/ws"\ncapacity = {{ memory = "2 GB", gpu = 2, runs = 5 }}\n'
    )
    found = capacity_of(tmp_path / "ws", said.append)
    assert (found.runs, found.memory, found.gpus, found.cpu) == (5, 2 * GB, ("0", "1"), machine_slots().cpu)
    assert capacity_of(tmp_path / "other", said.append) == machine_slots()
    assert said == []
    config.write_text(f'[contexts.here]\nworkspace = "{tmp_path}/ws"\ncapacity = {{ memory = "much" }}\n')
    assert capacity_of(tmp_path / "ws", said.append).memory == machine_slots().memory
    assert "no amount of memory" in said[0]


@pytest.mark.parametrize(
    ("text", "size"), [("4 GB", 4 * GB), ("512MB", 512 * 10**6), ("2 GiB", 2 << 30), ("1.5 gb", 1_500_000_000), (7, 7)]
)
def test_amounts_of_memory(text: str | int, size: int) -> None:
    assert parse_size(text) == size


def test_both_kinds_of_recipe_say_what_they_need() -> None:
    command = 'command = "true"\n[needs]\ncpu = 2\nmemory = "4 GB"\ngpu = 1\n'
    estimator = (
        'dataset = "d"\ntarget = "t"\ntask = "regression"\nestimator = { class = "sklearn.dummy.DummyRegressor" }\n'
    )
    wanted = Needs(cpu=2, memory=4 * GB, gpu=1)
    assert parse_command_recipe(command).needs.needs == wanted
    assert parse_recipe(estimator + command.partition("\n")[2]).needs.needs == wanted
    for wrong, why in (
        ("gpu = -1", "wanted a number of cards"),
        ('memory = "lots"', "no amount"),
        ("ram = 1", "not a key"),
    ):
        with pytest.raises(Invalid, match=why):
            parse_command_recipe(f'command = "true"\n[needs]\n{wrong}\n')
        with pytest.raises(Invalid, match=why):
            parse_recipe(f"{estimator}[needs]\n{wrong}\n")
