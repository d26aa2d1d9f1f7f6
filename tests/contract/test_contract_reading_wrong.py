"""An adapter that lies is found out: each lie, the promise it breaks, and that nothing was changed by looking."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from backends.checks import Finding, Verdict, examine
from backends.contract import Backend, Mutation, Unauthorized, Unreachable, Unsupported
from backends.entities import Asked, Service, ServiceWindow, SourceAlert, SourceInfo
from backends.local import open_local
from tests.contract.a_little import fill
from tests.contract.lies import AT_WORK, LIES, breaks, lying

ANN = Mutation("ann@box", reason="because")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("honest")
    backend = open_local(folder / "workspace")
    fill(backend, folder, ANN)
    AT_WORK[:] = [run.id for run in backend.need("runs").page().items if run.ended_at is None]
    yield backend
    backend.close()


def wrong(backend: Backend, **limits: float) -> dict[str, Finding]:
    return {each.promise: each for each in examine(backend, **limits) if each.verdict is Verdict.WRONG}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("capability", "verb", "lie", "promise"), [each[1:] for each in LIES], ids=[e[0] for e in LIES]
)
def test_a_lie_is_found_out(honest: Backend, capability: str, verb: str, lie: Callable[..., Any], promise: str) -> None:
    found = wrong(lying(honest, capability, verb, lie))
    assert promise in found, sorted(found)
    assert found[promise].wanted
    assert found[promise].found


def test_an_honest_one_is_not_accused(honest: Backend) -> None:
    before = honest.changed()
    assert wrong(honest) == {}
    assert honest.changed() == before


def test_what_is_lacking_needs_a_reason(honest: Backend) -> None:
    said = "what is lacking has a reason, and what is there is not said to be lacking"
    assert said in wrong(msgspec.structs.replace(honest, registry=None))
    assert said not in wrong(msgspec.structs.replace(honest, registry=None, missing={"registry": "files alone"}))
    assert said in wrong(msgspec.structs.replace(honest, missing={"registry": "files alone"}))


def test_a_sign_of_change_is_steady_and_cheap(honest: Backend) -> None:
    def slow() -> int:
        time.sleep(0.15)
        return 1

    said = "the sign of change costs nothing, and stays while nothing changes"
    assert wrong(msgspec.structs.replace(honest, changed=object))[said].wanted == "the same sign while nothing changes"
    assert "milliseconds" in wrong(msgspec.structs.replace(honest, changed=slow))[said].wanted


def test_a_password_in_the_address_is_told_without_it(honest: Backend) -> None:
    (found,) = wrong(msgspec.structs.replace(honest, url="x+https://ann:s3cret@host/")).values()
    assert found.promise == "the address shows no secret"
    assert "s3cret" not in found.sentence


def test_features_that_are_not_so(honest: Backend) -> None:
    boast = msgspec.structs.replace(honest, features=msgspec.structs.replace(honest.features, count="yes"))
    assert "features are told as they are declared" in wrong(boast)
    no_numbers = lying(honest, "runs", "page", lambda ask, *a, **n: msgspec.structs.replace(ask(*a, **n), total=None))
    assert "what features say of lists is so: row numbers, places of ids, totals" in wrong(no_numbers)


class Figures:
    """A metrics store with nothing in it."""

    def where(self) -> str:
        return "http://metrics"

    def info(self) -> SourceInfo:
        return SourceInfo(product="Figures")

    def windows(self, service: Service, **named: Any) -> tuple[ServiceWindow, ...]:
        return ()

    def examine(self, service: Service) -> tuple[Asked, ...]:
        return (Asked(quantity="requests", query="up"),)

    def alerts(self) -> tuple[SourceAlert, ...]:
        return ()


class Zeros(Figures):
    """It makes a zero of no data, has a password in its address, and tells alerts in any order."""

    def where(self) -> str:
        return "http://ann:s3cret@metrics"

    def windows(self, service: Service, **named: Any) -> tuple[ServiceWindow, ...]:
        return (ServiceWindow(source=service.name, start=0, end=60_000, requests=0),)

    def alerts(self) -> tuple[SourceAlert, ...]:
        return tuple(SourceAlert(name=str(at), state="firing", since=1_760_000_000_000 - at) for at in range(2))


def test_a_metrics_store_tells_no_zeros_for_no_data(honest: Backend) -> None:
    assert wrong(msgspec.structs.replace(honest, metrics=Figures())) == {}
    assert set(wrong(msgspec.structs.replace(honest, metrics=Zeros()))) == {
        "it says what it is and where, without a secret",
        "a service without samples has no windows: no data is not zero",
        "alerts come the oldest first, each firing or pending",
    }


def test_what_it_says_to_lack_is_no_fault(honest: Backend) -> None:
    found = list(examine(lying(honest, "registry", "search", breaks(Unsupported("no search here")))))
    (search,) = [each for each in found if each.promise == "versions of all models are searched by model"]
    assert (search.verdict, search.said) == (Verdict.LACKS, "no search here")
    refused = lying(honest, "artifacts", "children", breaks(Unauthorized("files are not yours to read")))
    assert {each.verdict for each in examine(refused) if each.capability == "artifacts"} == {Verdict.LACKS}


def test_a_server_that_goes_away_ends_the_examination(honest: Backend) -> None:
    asked: list[int] = []

    def away(ask: Callable[..., Any], *args: Any, **named: Any) -> Any:
        asked.append(1)
        raise Unreachable("nobody there")

    gone = lying(lying(honest, "runs", "page", away), "experiments", "page", away)
    found = [each for each in examine(gone) if each.away]
    assert len(found) > 10
    assert len(asked) < 10


def test_a_verb_that_never_ends_is_given_up(honest: Backend) -> None:
    over, came_back = threading.Event(), []

    def hangs(ask: Callable[..., Any], *args: Any, **named: Any) -> Any:
        over.wait(600)
        came_back.append(True)

    try:
        found = list(examine(lying(honest, "registry", "page", hangs), silent=5.0))
        assert not came_back
    finally:
        over.set()
    given_up = [each for each in found if "time limit" in each.wanted]
    assert [each.capability for each in given_up] == ["registry"]
    assert found[-1].said == "a verb before it did not come back"


def test_no_more_questions_than_allowed(honest: Backend) -> None:
    found = list(examine(honest, calls=20))
    assert sum(each.calls for each in found) <= 20
    assert "20 questions" in found[-1].said
