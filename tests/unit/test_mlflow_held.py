"""A list that was worked out here, kept up to date by what little is asked."""

from __future__ import annotations

from backends.entities import Run, RunStatus
from backends.mlflow.client_held import Held


def run(name: str, status: RunStatus = RunStatus.FINISHED, **more: object) -> Run:
    return Run(id=name, name=name, experiment="e", status=status, created_at=1, created_by="user1", **more)  # type: ignore[arg-type]


def names(held: Held) -> list[str]:
    return [each.name for each in held.newest_first()]


def test_new_runs_stand_first_and_the_server_s_order_stays() -> None:
    held = Held([run("c"), run("b"), run("a")], "", 0)
    assert held.take([run("e"), run("d"), run("c")], True, [], [], 1)
    assert names(held) == ["e", "d", "c", "b", "a"]
    assert held.changes == 1


def test_what_is_no_longer_told_is_gone_and_what_was_not_asked_for_stays() -> None:
    held = Held([run("d"), run("c"), run("b"), run("a")], "", 0)
    assert held.take([run("d"), run("b")], True, [], [], 0)
    assert names(held) == ["d", "b", "a"], "c stood between two that are told"
    assert held.take([run("d"), run("b")], True, ["a"], [], 0)
    assert names(held) == ["d", "b"], "a was asked for and is not there"
    assert held.take([run("d")], False, [], [], 0)
    assert names(held) == ["d"], "there are no more than these"


def test_what_was_under_way_is_asked_for_and_taken_as_it_is_by_then() -> None:
    held = Held([run("b"), run("a", RunStatus.RUNNING)], "", 3)
    assert held.unsure([(2, "x"), (4, "b")]) == ["b", "a"], "what we changed since, and what had not ended"
    assert held.take([run("b")], True, ["a"], [run("a", RunStatus.FAILED)], 4)
    assert [each.status for each in held.newest_first()] == [RunStatus.FINISHED, RunStatus.FAILED]
    assert held.unsure([]) == []


def test_more_new_runs_than_one_question_tells_need_a_whole_look() -> None:
    held = Held([run("b"), run("a")], "", 0)
    assert not held.take([run("z"), run("y")], True, [], [], 0)
    assert names(held) == ["b", "a"]
