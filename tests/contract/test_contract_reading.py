"""The reading half of the contract, as `context test` sees it: on every adapter, filled with a little of everything."""

from __future__ import annotations

import msgspec
import pytest

from backends.checks import Finding, Verdict, examine
from backends.contract import Mutation
from backends.readonly import read_only
from tests.contract.a_little import fill
from tests.contract.conftest import ADAPTERS


@pytest.fixture(scope="module", params=sorted(ADAPTERS))
def findings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Finding, ...]:
    folder = tmp_path_factory.mktemp(f"reading-{request.param}")
    backend = ADAPTERS[request.param](request, folder)
    try:
        fill(backend, folder, Mutation("ann@box", reason="because"))
        return tuple(examine(backend))
    finally:
        backend.close()


def test_every_promise_that_can_be_seen_is_held(findings: tuple[Finding, ...]) -> None:
    assert [each.sentence for each in findings if each.verdict is Verdict.WRONG] == []
    assert sum(each.verdict is Verdict.OK for each in findings) >= 20


def test_what_is_lacking_has_a_reason(findings: tuple[Finding, ...]) -> None:
    for each in findings:
        if each.verdict in (Verdict.LACKS, Verdict.UNSEEN):
            assert each.said.strip(), each.promise


def test_a_look_at_all_of_it_is_bounded(findings: tuple[Finding, ...]) -> None:
    assert sum(each.calls for each in findings) <= 450


def test_nothing_was_changed_by_looking(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path_factory.mktemp("unchanged")
    backend = ADAPTERS["local"](request, folder)
    try:
        fill(backend, folder, Mutation("ann@box", reason="because"))
        before = backend.changed()
        tuple(examine(read_only(backend)))
        assert msgspec.json.encode(backend.changed()) == msgspec.json.encode(before)
    finally:
        backend.close()
