"""What every `RequestQueue` promises."""

from __future__ import annotations

import threading

import pytest

from backends.contract import Backend, Conflict, NotFound, RequestQueue
from backends.entities import RequestState

pytestmark = pytest.mark.needs("requests")


@pytest.fixture
def queue(backend: Backend) -> RequestQueue:
    assert backend.requests is not None
    return backend.requests


def test_a_request_is_added_once_per_key(queue: RequestQueue) -> None:
    first = queue.add("run.launch", {"run": "r1"}, key="k", created_by="ann@box", priority=3)
    assert (first.state, first.payload, first.priority) == (RequestState.WAITING, {"run": "r1"}, 3)
    assert queue.add("run.launch", {"run": "other"}, key="k", created_by="bob@box") == first
    assert queue.list() == (first,)
    with pytest.raises(Conflict):
        queue.add("another.kind", {}, key="k", created_by="bob@box")


def test_the_most_urgent_then_the_oldest_is_claimed(queue: RequestQueue) -> None:
    made = [queue.add("a", {}, key=f"k{n}", created_by="x", priority=p).id for n, p in enumerate((0, 5, 0, 5))]
    claimed = [queue.claim("agent") for _ in range(5)]
    assert [request.id if request else None for request in claimed] == [made[1], made[3], made[0], made[2], None]
    assert claimed[0] is not None
    assert (claimed[0].claimed_by, claimed[0].attempts, claimed[0].state) == ("agent", 1, RequestState.CLAIMED)


def test_kinds_can_be_chosen(queue: RequestQueue) -> None:
    queue.add("a", {}, key="1", created_by="x")
    wanted = queue.add("b", {}, key="2", created_by="x")
    found = queue.claim("agent", ["b", "c"])
    assert found is not None
    assert found.id == wanted.id
    assert queue.claim("agent", ["b", "c"]) is None
    assert [request.kind for request in queue.list(kind="a")] == ["a"]


def test_a_request_ends_well_or_badly_and_once(queue: RequestQueue) -> None:
    well = queue.add("a", {}, key="1", created_by="x").id
    badly = queue.add("a", {}, key="2", created_by="x").id
    with pytest.raises(Conflict):
        queue.finish(well)
    queue.claim("agent")
    queue.claim("agent")
    queue.finish(well)
    queue.finish(well)
    queue.finish(badly, error="no such command")
    with pytest.raises(Conflict):
        queue.finish(well, error="after all")
    assert queue.list() == ()
    ended = queue.list(states=["done", "failed"])
    assert [(request.id, request.error) for request in ended] == [(well, ""), (badly, "no such command")]
    assert ended[0].ended_at is not None


def test_a_released_request_waits_again(queue: RequestQueue) -> None:
    made = queue.add("a", {}, key="1", created_by="x").id
    queue.claim("dead agent")
    queue.release(made)
    found = queue.claim("new agent")
    assert found is not None
    assert (found.id, found.attempts, found.claimed_by) == (made, 2, "new agent")
    queue.finish(made)
    with pytest.raises(Conflict):
        queue.release(made)


def test_only_a_waiting_request_is_cancelled(queue: RequestQueue) -> None:
    waiting = queue.add("a", {}, key="1", created_by="x").id
    assert queue.cancel(waiting)
    assert not queue.cancel(waiting)
    claimed = queue.add("a", {}, key="2", created_by="x").id
    queue.claim("agent")
    assert not queue.cancel(claimed)
    with pytest.raises(NotFound):
        queue.cancel("none")


def test_a_waiting_request_is_moved_and_a_claimed_one_is_not(queue: RequestQueue) -> None:
    first, second = (queue.add("a", {}, key=key, created_by="x").id for key in "12")
    assert queue.prioritise(second, 3)
    claimed = queue.claim("agent")
    assert claimed is not None
    assert (claimed.id, claimed.priority) == (second, 3)
    assert not queue.prioritise(second, 9)
    assert queue.prioritise(first, -2)
    assert [each.priority for each in queue.list()] == [-2, 3]
    with pytest.raises(NotFound):
        queue.prioritise("none", 1)


def test_each_request_is_claimed_by_one_agent_alone(queue: RequestQueue) -> None:
    for number in range(40):
        queue.add("a", {}, key=str(number), created_by="x")
    taken: list[str] = []

    def work(name: str) -> None:
        while (request := queue.claim(name)) is not None:
            taken.append(request.id)

    threads = [threading.Thread(target=work, args=(f"agent {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 40
