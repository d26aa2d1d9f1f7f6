"""Replaying the requests of a deployment: real models, real logs, and once a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from backends.contract import Backend, Invalid, NotFound, Refused
from backends.entities import Deployment, GateStatus, Report, Target
from backends.local import open_local
from console.offload import Cancelled
from console.promotion.card_facts import card_of
from console.promotion.card_text import card_text
from console.serving.deployment.place import folder_of
from console.serving.fetched import fetch_version
from console.serving.loaded import load
from console.serving.refusal import Refusal
from console.serving.replay.figures import MISSING, REDACTED, UNKNOWN, UNSEEN, Replay, ReplayJob
from console.serving.replay.replay import replay
from console.serving.replayer import replayed
from tests.serving import WHO, fitted, json_rows, keep_version, labels, point, rows, serving, until

if TYPE_CHECKING:
    import pandas as pd

PARCELS = 400


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def backend(home: Path) -> Iterator[Backend]:
    """v1 is champion; v2 learned otherwise; v3 takes no `stops`; v4 wants `colour` besides."""
    made = open_local(home / "w")
    frame = rows(PARCELS)
    target = labels(frame)
    keep_version(made, home / "1", fitted(frame, target, LogisticRegression()), frame)
    other = np.where(frame["weight"] > 6, "yes", "no")
    keep_version(made, home / "2", fitted(frame, other, LogisticRegression()), frame)
    fewer = frame.drop(columns="stops")
    keep_version(made, home / "3", fitted(fewer, target, LogisticRegression()), fewer)
    more = frame.assign(colour=np.resize(["red", "blue"], len(frame)))
    keep_version(made, home / "4", fitted(more, target, LogisticRegression()), more)
    point(made, "champion", "1")
    made.need("deployments").create(Deployment(name="live", model="parcels", targets=(Target(alias="champion"),)), WHO)
    yield made
    made.close()


@pytest.fixture(scope="module")
def real(backend: Backend, home: Path) -> list[dict[str, Any]]:
    """What callers asked a real server, whose log is the deployment's."""
    from console.serving.spec import LogSpec

    asked = json_rows(rows(60, seed=9))
    log = LogSpec(folder=str(folder_of(home / "w", "live") / "log"))
    with serving(backend, home / "server", log=log) as served:
        for at, record in enumerate(asked):
            assert served.ask(record, **{"X-Request-Id": f"call-{at}"}).status_code == 200
        until(lambda: served.state().logged == len(asked), what="the log")
        # while the server runs and writes on, its rows are there already
        figures = shown(replay(backend, ReplayJob(model="parcels", version="2"), WHO))
        assert figures.logged == len(asked)
    return asked


def shown(report: Report) -> Replay:
    return msgspec.convert(report.figures, Replay)


def logged(folder: Path, *records: dict[str, Any], version: str = "1", **said: Any) -> str:
    """A segment as a server writes it; gives the folder's name."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "20260101T000000-w0-000001.jsonl").open("w", encoding="utf-8") as file:
        for at, record in enumerate(records):
            own = {"prediction.id": f"id{at}", "prediction.time": at, "prediction.version": version}
            value = {"prediction.value": "no", "prediction.score": 0.25}
            file.write(json.dumps(own | value | said | record) + "\n")
    return str(folder)


def test_answers_that_change_are_counted_and_the_rows_shown_with_what_was_sent(
    backend: Backend, real: list[dict[str, Any]]
) -> None:
    report = replay(backend, ReplayJob(model="parcels", version="2"), WHO)
    found = shown(report)
    assert (found.logged, found.replayed, found.against, found.deployments) == (60, 60, "1", ("live",))
    assert (found.echoed, found.differed, found.as_logged) == (60, 0, 0)
    frame = rows(60, seed=9)
    one, two = (scored(backend, version, frame) for version in ("1", "2"))
    labels_differ = int(((one > 0.5) != (two > 0.5)).sum())
    assert (found.changed, labels_differ > 3) == (labels_differ, True)
    assert found.mean_moved == pytest.approx(float(np.abs(one - two).mean()))
    assert found.max_moved == pytest.approx(float(np.abs(one - two).max()))
    assert [each.moved for each in found.most] == pytest.approx(sorted(np.abs(one - two))[::-1][:10])
    worst = int(np.argmax(np.abs(one - two)))
    first = found.most[0]
    assert first.ident == f"call-{worst}"
    assert first.inputs["carrier"] == real[worst]["carrier"]
    assert (first.before_score, first.after_score) == pytest.approx((one[worst], two[worst]))
    assert (report.kind, report.subject, report.status) == ("replay", "parcels@2", GateStatus.PASS)
    kept = backend.need("reports").latest("replay", "parcels@2")
    assert kept is not None
    assert (kept.id, shown(kept)) == (report.id, found)
    times = {each.version: each for each in found.timings}
    assert list(times) == ["2", "1"]
    assert all(0 < each.one_p50 <= each.one_p95 and each.batch_p50 <= each.batch_p95 for each in times.values())


def scored(backend: Backend, version: str, frame: pd.DataFrame) -> np.ndarray:
    """Probabilities by the stored model, not by way of the server's code."""
    from console.training.model_file import load_model

    found = backend.need("registry").version("parcels", version)
    model = load_model(backend.need("artifacts").open(found.run, "model/model.skops"), found.file.sha256)
    scores: np.ndarray = model.predict_proba(frame)[:, 1]
    return scores


def test_the_newest_rows_alone_where_fewer_are_wanted(backend: Backend, real: list[dict[str, Any]]) -> None:
    found = shown(replay(backend, ReplayJob(model="parcels", version="2", rows=7), WHO))
    assert (found.asked, found.logged) == (7, 7)
    assert {each.ident for each in found.most} <= {f"call-{at}" for at in range(53, 60)}


def test_the_holder_itself_changes_no_answer_of_its_own(backend: Backend, real: list[dict[str, Any]]) -> None:
    found = shown(replay(backend, ReplayJob(model="parcels", version="1"), WHO))
    assert (found.against, found.changed, found.replayed) == ("", 0, 60)
    assert "v1 is champion itself" in found.why_logged
    assert found.max_moved == pytest.approx(0.0, abs=1e-12)


def test_a_version_that_takes_fewer_columns_is_asked_and_callers_are_told_of(
    backend: Backend, real: list[dict[str, Any]]
) -> None:
    report = replay(backend, ReplayJob(model="parcels", version="3"), WHO)
    found = shown(report)
    assert found.replayed == 60
    assert [(each.column, each.kind, each.rows) for each in found.sent] == [("stops", UNKNOWN, 60)]
    assert report.status is GateStatus.FAIL  # its server would refuse every one of them
    served = load(fetch_version(backend, "parcels", "3"))
    with pytest.raises(Refusal, match="'stops' unknown to the model"):
        served.shape.of_records([real[0]], of="dataframe_records")


def test_rows_that_lack_what_it_needs_cannot_be_replayed(backend: Backend, real: list[dict[str, Any]]) -> None:
    found = shown(replay(backend, ReplayJob(model="parcels", version="4"), WHO))
    assert (found.replayed, found.skipped_rows, found.share) == (0, 60, None)
    assert found.skipped[0].why == "no colour in the log"
    assert ("colour", MISSING, 60) in [(each.column, each.kind, each.rows) for each in found.sent]
    assert found.timings == ()


ROW = json_rows(rows(1, seed=4))[0]


def test_redacted_columns_stay_redacted_and_are_said(backend: Backend, tmp_path: Path) -> None:
    kept = {name: value for name, value in ROW.items() if name != "stops"}
    log = logged(tmp_path / "log", kept, kept)
    needs = shown(replay(backend, ReplayJob(model="parcels", version="2", log=log), WHO))
    assert (needs.replayed, needs.skipped[0].why) == (0, "stops redacted in the log")
    assert [(each.column, each.kind) for each in needs.sent] == [("stops", REDACTED)]
    does_not = shown(replay(backend, ReplayJob(model="parcels", version="3", log=log), WHO))
    assert (does_not.replayed, does_not.as_logged) == (2, 2)  # the holder needs it: the logged answer stands in
    assert does_not.most[0].redacted == ("stops",)
    assert "stops" not in does_not.most[0].inputs


HOSTILE = ("\x1b]0;owned\x07", "‮gnp.exe", "[bold red]", "\x00", "=cmd()", "x" * 100_000, "🏴" * 50)


def test_hostile_values_are_kept_short_and_change_nothing_else(backend: Backend, tmp_path: Path) -> None:
    log = logged(tmp_path / "log", *({**ROW, "carrier": value} for value in HOSTILE))
    found = shown(replay(backend, ReplayJob(model="parcels", version="2", log=log), WHO))
    assert found.replayed == len(HOSTILE)
    assert all(len(value) <= 200 for each in found.most for value in each.inputs.values())
    (unseen,) = found.sent
    assert (unseen.column, unseen.kind, unseen.rows, len(unseen.note) < 400) == ("carrier", UNSEEN, len(HOSTILE), True)


def test_rows_it_does_not_answer_are_counted_with_the_reason(backend: Backend, tmp_path: Path) -> None:
    log = logged(tmp_path / "log", ROW, {**ROW, "weight": "heavy"}, {**ROW, "stops": 1.5}, {**ROW, "sent": [1]}, ROW)
    report = replay(backend, ReplayJob(model="parcels", version="2", log=log), WHO)
    found = shown(report)
    assert (found.replayed, found.failed_rows) == (2, 3)
    assert {each.why for each in found.failed} == {
        "weight: a number is wanted, is text",
        "stops: a whole number is wanted",
        "sent: a time such as 2013-04-12T14:00:00Z is wanted, is a list",
    }
    assert (report.status, report.results[0].value) == (GateStatus.FAIL, "3 of 5 rows have no answer")


def test_a_log_of_another_signature_has_nothing_to_ask(backend: Backend, tmp_path: Path) -> None:
    log = logged(tmp_path / "log", {"age": 31.0, "plan": "basic"}, version="99")
    found = shown(replay(backend, ReplayJob(model="parcels", version="2", log=log), WHO))
    assert (found.replayed, found.skipped_rows) == (0, 1)
    kinds = {(each.column, each.kind) for each in found.sent}
    assert {("age", UNKNOWN), ("plan", UNKNOWN), ("weight", MISSING)} <= kinds


def test_an_empty_log_says_so(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(NotFound, match="no request is in the prediction log"):
        replay(backend, ReplayJob(model="parcels", version="2", log=str(tmp_path / "log")), WHO)
    with pytest.raises(Invalid, match="there is no folder"):
        replay(backend, ReplayJob(model="parcels", version="2", log=str(tmp_path / "none")), WHO)


def test_a_model_that_nobody_serves_has_no_requests(backend: Backend, home: Path) -> None:
    frame = rows(100)
    keep_version(backend, home / "alone", fitted(frame, labels(frame), LogisticRegression()), frame, model="alone")
    with pytest.raises(NotFound, match=r"no deployment serves it.*deploy start alone"):
        replay(backend, ReplayJob(model="alone", version="1"), WHO)


def test_without_requests_a_version_is_timed_on_its_held_out_rows(backend: Backend, home: Path) -> None:
    """Such a report says why there were none, and proves nothing about callers."""
    from console.data.importing import import_file
    from console.training.held_out import FILE, write_held_out

    frame = rows(120, seed=6).assign(late=lambda each: labels(each))
    frame.to_parquet(home / "timed.parquet")
    data, *_ = import_file(backend.need("datasets"), home / "timed.parquet", "timed", WHO)
    features = frame.drop(columns="late")
    model = fitted(features, frame["late"], LogisticRegression())
    version = keep_version(backend, home / "timed", model, features, model="timed")
    artifacts = backend.need("artifacts")
    meta = json.loads(artifacts.open(version.run, "model/meta.json").read_bytes())
    meta |= {
        "signature": {}, "file": msgspec.to_builtins(version.file),
        "test": {"dataset": "timed", "version": "1", "digest": data.digest, "rows": 40, "rows_sha256": ""},
    }  # fmt: skip
    (home / "meta.json").write_text(json.dumps(meta))
    artifacts.put(version.run, "model/meta.json", home / "meta.json")
    scores = model.predict_proba(features.iloc[80:])[:, 1]
    write_held_out(home / FILE, np.arange(80, 120), frame["late"].iloc[80:].to_numpy(), scores, ["no", "yes"])
    artifacts.put(version.run, FILE, home / FILE)
    report = replay(backend, ReplayJob(model="timed", version="1"), WHO)
    found = shown(report)
    assert (found.logged, found.share, report.results) == (0, None, ())
    assert "no deployment serves it" in found.nothing
    assert [each.version for each in found.timings] == ["1"]
    assert found.timings[0].one_p50 > 0


def test_a_changed_model_file_is_not_loaded(backend: Backend, home: Path, tmp_path: Path) -> None:
    frame = rows(100, seed=2)
    version = keep_version(
        backend, home / "bad", fitted(frame, labels(frame), LogisticRegression()), frame, model="bad"
    )
    path = backend.need("artifacts").open(version.run, "model/model.skops")
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(Refused, match="not the file that was registered"):
        replay(backend, ReplayJob(model="bad", version="1", log=logged(tmp_path / "log", ROW)), WHO)


def test_numbers_are_held_against_numbers(backend: Backend, home: Path, tmp_path: Path) -> None:
    frame = rows(200, seed=3)
    weights = frame["weight"].to_numpy() * 2
    for at, target in enumerate((weights, weights + 1)):
        pipeline = fitted(frame, target, LinearRegression())
        keep_version(backend, home / f"number {at}", pipeline, frame, model="number", task="regression")
    point(backend, "champion", "1", model="number")
    sent = json_rows(rows(20, seed=5))
    log = logged(tmp_path / "log", *sent, **{"prediction.value": 1.0, "prediction.score": 1.0})
    found = shown(replay(backend, ReplayJob(model="number", version="2", log=log), WHO))
    assert found.mean_moved == pytest.approx(1.0, abs=1e-6)
    assert (found.changed, found.tolerance is not None) == (20, True)
    wide = shown(replay(backend, ReplayJob(model="number", version="2", log=log, tolerance=1.5), WHO))
    assert (wide.changed, wide.tolerance) == (0, 1.5)


def test_it_runs_in_a_process_of_its_own_and_a_stop_ends_it(backend: Backend, real: list[dict[str, Any]]) -> None:
    job = ReplayJob(model="parcels", version="2")
    assert shown(replayed(backend, job, "me@here")).replayed == 60
    before = backend.need("reports").page("replay", "parcels@2").items
    with pytest.raises(Cancelled):
        replayed(backend, job, "me@here", cancel=lambda: True)
    assert backend.need("reports").page("replay", "parcels@2").items == before


def test_a_card_tells_of_the_replay_and_holds_nothing_that_a_caller_sent(
    backend: Backend, real: list[dict[str, Any]], tmp_path: Path
) -> None:
    log = logged(tmp_path / "log", {**ROW, "carrier": "Ann Lee's own"}, {**ROW, "stops": "many"})
    replay(backend, ReplayJob(model="parcels", version="2", log=log), WHO)
    card = card_of(backend, "parcels", "2")
    assert card.replay is not None
    assert (card.replay.replayed, card.replay.failed_rows, card.replay.most) == (1, 1, ())
    assert [each.version for each in card.speed] == ["2", "1"]
    for ending in ("json", "md", "html"):
        text = card_text(card, ending)
        assert "id0" not in text
        assert "Ann Lee" not in text
    assert "answers change" in card_text(card, "md")
