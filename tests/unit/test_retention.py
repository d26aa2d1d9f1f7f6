"""What goes, what stays, and that nothing is left pointing at what is gone."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend, Invalid, Mutation, NotFound, Refused
from backends.entities import ModelFile, RunStatus, Signature
from backends.entities.holdings import ARTIFACTS_GONE, LOG_GONE, Going, Part
from backends.local import open_local
from backends.local.probe import Health, probe
from console.retention.apply import carry_out, preview, preview_purge
from console.retention.policy import Best, Limits, RetentionPolicy
from console.retention.rule import Plan
from tests.terminal.stage import add_run

ANN = Mutation("ann@box", "tidy up")
DAY = 86_400_000
ALL = Limits(deleted_ms=0, artifacts_ms=0, logs_ms=0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "w"


@pytest.fixture
def backend(home: Path):
    made = open_local(home)
    yield made
    made.close()


def old(backend: Backend, name: str, days: int = 100, files: dict[str, bytes] | None = None, log: bytes = b"") -> str:
    """A finished run that ended so many days ago."""
    run = add_run(backend, name).id
    assert backend.home is not None
    for path, content in (files or {}).items():
        put(backend, run, path, content)
    if log:
        folder = backend.home / "runs" / run
        folder.mkdir(parents=True)
        (folder / "out.log").write_bytes(log)
    at = int(time.time() * 1000) - days * DAY
    with sqlite3.connect(backend.home / "console.db") as raw:
        raw.execute("UPDATE runs SET created_at = ?, started_at = ?, ended_at = ? WHERE id = ?", (at, at, at, run))
    return run


def put(backend: Backend, run: str, path: str, content: bytes) -> None:
    assert backend.home is not None
    file = backend.home / "tmp" / "in"
    file.write_bytes(content)
    backend.need("artifacts").put(run, path, file)
    file.unlink()


def disk(backend: Backend) -> int:
    assert backend.home is not None
    return sum(file.stat().st_size for file in backend.home.glob("objects/*/*"))


def going(found: Plan) -> set[tuple[str, str]]:
    return {(each.part.value, each.name.split(" ")[0]) for each in found.going}


def test_history_stays_while_artifacts_and_log_go_and_the_run_says_so(backend: Backend) -> None:
    run = old(backend, "a", files={"model.bin": b"m" * 5_000, "recipe.toml": b"r"}, log=b"l" * 300)
    new = old(backend, "b", days=1, files={"model.bin": b"n" * 700}, log=b"x")
    found = preview(backend, RetentionPolicy(keep_artifacts="90 d", keep_logs="30 d").limits())
    assert going(found) == {("artifacts", "a"), ("log", "a")}
    assert found.bytes == 5_300
    before = disk(backend)
    freed = carry_out(backend, found, ANN)
    assert (freed.bytes, freed.gone, freed.left) == (5_300, 2, ())
    assert before - disk(backend) == 5_000
    kept = backend.need("runs").get(run)
    assert kept.metrics["auc"] == pytest.approx(0.74)
    assert "ann@box: tidy up: ended 100 d ago" in kept.tags[ARTIFACTS_GONE]
    assert LOG_GONE in kept.tags
    assert [each.path for each in backend.need("artifacts").list(run)] == ["recipe.toml"], "by it the run can be made"
    with pytest.raises(NotFound, match="its artifacts were removed on"):
        backend.need("artifacts").open(run, "model.bin")
    assert backend.need("launcher").log(run).text == ""
    assert backend.need("artifacts").open(new, "model.bin").read_bytes() == b"n" * 700
    actions = {entry.action for entry in backend.need("journal").page().items}
    assert {"run.drop_artifacts", "run.drop_log", "workspace.clean"} <= actions
    assert backend.need("journal").verify()[1] == ""
    assert not preview(backend, ALL).going[2:], "a second time there is nothing more of it"


def test_a_file_that_several_share_is_counted_once_and_only_if_nobody_keeps_it(backend: Backend) -> None:
    same, other = b"s" * 4_000, b"o" * 1_000
    old(backend, "first", files={"a": same, "again": same})
    old(backend, "second", files={"b": same, "c": other})
    found = preview(backend, Limits(artifacts_ms=0))
    assert [(each.bytes, each.shared) for each in found.going] == [(0, 4_000), (5_000, 0)]
    assert found.bytes == 5_000 == disk(backend)
    old(backend, "third", days=1, files={"d": same})
    found = preview(backend, Limits(artifacts_ms=50 * DAY))
    assert found.bytes == 1_000
    freed = carry_out(backend, found, ANN)
    assert (freed.bytes, disk(backend)) == (1_000, 4_000)


def test_what_somebody_needs_never_goes(backend: Backend) -> None:
    runs, files = backend.need("runs"), {"model": b"x" * 100}
    old(backend, "plain", files=files)
    noted = old(backend, "noted", files=files)
    runs.set_note(noted, "look again", ANN)
    tagged = old(backend, "tagged", files=files)
    runs.set_tags(tagged, {"keep": "yes"}, ANN)
    unkept = old(backend, "unkept", files=files)
    runs.set_tags(unkept, {"keep": "false"}, ANN)
    registered = old(backend, "registered", files=files)
    version = {"file": ModelFile(sha256="ab" * 32), "signature": Signature(), "mutation": ANN}
    backend.need("registry").register("churn", run=registered, **version)
    model = backend.need("logged_models").create(
        name="c", experiment="default", mutation=ANN, run=(by_model := old(backend, "by_model", files=files))
    )
    put(backend, model.id, "weights", b"w" * 50)
    backend.need("registry").register("churn", run="", logged_model=model.id, **version)
    by_source = old(backend, "by_source", files=files)
    backend.need("registry").register("churn", run="", source=f"runs:/{by_source}/model", **version)
    live = add_run(backend, "live", RunStatus.RUNNING)
    put(backend, live.id, "ckpt", b"y" * 10)
    found = preview(backend, ALL)
    assert going(found) == {("artifacts", "plain"), ("artifacts", "unkept")}
    assert found.kept == {"it has a note": 1, "it is tagged keep": 1, "registered": 3}
    for run in (noted, registered, by_model):
        runs.delete(run, ANN)
    assert ("run", "noted") not in going(preview(backend, ALL))
    forced = [Going(part=Part.RUN, target=run, asked=True) for run in (registered, by_model)]
    assert [
        ("stays: registered as churn@" in why)
        for why in carry_out(backend, Plan(going=tuple(forced), kept={}), ANN).left
    ] == [True, True]
    assert carry_out(backend, preview_purge(backend, [noted]), ANN).gone == 1, "a person may name it"
    with pytest.raises(Refused, match="registered as churn@1"):
        preview_purge(backend, [registered])
    with pytest.raises(Refused, match="is not deleted"):
        preview_purge(backend, [tagged])
    with pytest.raises(Refused, match="has not ended"):
        preview_purge(backend, [live.id])


def test_the_best_of_an_experiment_and_tagged_runs_stay_where_the_policy_says_so(backend: Backend) -> None:
    runs = backend.need("runs")
    from backends.entities import MetricPoint

    made = {name: old(backend, name, files={"m": name.encode()}) for name in ("low", "middle", "high")}
    for at, run in enumerate(made.values()):
        runs.log_points(run, [MetricPoint(key="score", value=float(at), step=1)])
    runs.set_tags(made["low"], {"team": "x", "console.made": "1"}, ANN)
    assert going(preview(backend, RetentionPolicy(keep_artifacts="1 d", keep="best 1 by score").limits())) == {
        ("artifacts", "low"), ("artifacts", "middle")
    }  # fmt: skip
    limits = RetentionPolicy(keep_artifacts="1 d", keep="tagged team, best 1 by lowest score").limits()
    assert going(preview(backend, limits)) == {("artifacts", "middle"), ("artifacts", "high")}
    assert going(preview(backend, RetentionPolicy(keep_artifacts="1 d", keep="tagged, best 5").limits())) == set()


def test_the_best_of_a_sweep_stays_and_all_its_trials_where_its_goal_is_not_known(backend: Backend) -> None:
    from backends.entities import MetricPoint
    from console.training.sweep.trials import NUMBER, SWEEP

    runs = backend.need("runs")
    recipe = (
        b'dataset = "d"\ntarget = "y"\ntask = "regression"\n[estimator]\nclass = "sklearn.linear_model.X"\n'
        b"[sweep]\n[sweep.space.a]\nlow = 0.1\nhigh = 1.0\n"
    )
    for name, text in (("known", recipe), ("lost", b"no recipe [")):
        sweep = old(backend, name, files={"recipe.toml": text})
        runs.set_tags(sweep, {SWEEP: "1"}, ANN)
        for at in range(3):
            trial = old(backend, f"{name}{at}", files={"m": f"{name}{at}".encode()})
            runs.log_points(trial, [MetricPoint(key="rmse", value=3.0 - at)])
            runs.set_tags(trial, {NUMBER: str(at)}, ANN)
            runs.set_parent(trial, sweep)
    found = preview(backend, Limits(artifacts_ms=DAY))
    assert going(found) == {("artifacts", "known0"), ("artifacts", "known1")}
    assert found.kept == {"the best of a sweep": 1, "a trial of a sweep whose goal is not known": 3}


def test_deleted_runs_can_be_restored_until_they_are_purged(backend: Backend, home: Path) -> None:
    runs = backend.need("runs")
    gone, back = (old(backend, name, files={"m": name.encode() * 900}, log=b"l") for name in ("gone", "back"))
    for run in (gone, back):
        runs.delete(run, ANN)
    assert not preview(backend, Limits(deleted_ms=DAY)).going, "deleted just now"
    found = preview(backend, Limits(deleted_ms=0))
    assert going(found) == {("run", "gone"), ("run", "back")}
    runs.restore(back, ANN)
    freed = carry_out(backend, found, ANN)
    assert freed.gone == 1
    assert "back stays: it is not deleted, or was restored" in freed.left[0]
    assert (runs.count().value, runs.count(deleted=True).value) == (1, 0)
    assert not (home / "runs" / gone).exists()
    assert carry_out(backend, found, ANN).gone == 0, "again does nothing"
    with pytest.raises(NotFound):
        runs.get(gone)
    with sqlite3.connect(home / "console.db") as raw:
        for table in ("latest_metric", "params", "tags", "metric_tail", "metric_chunks", "run_text"):
            (rows,) = raw.execute(f"SELECT COUNT(*) FROM {table} WHERE run NOT IN (SELECT seq FROM runs)").fetchone()
            assert rows == 0, table
        assert raw.execute("SELECT runs FROM keys WHERE scope = 'metrics' AND name = 'auc'").fetchone() == (1,)
    assert all(each.health is not Health.FAIL for each in probe(home, thorough=True))
    entry = next(each for each in backend.need("journal").page().items if each.action == "run.purge")
    assert (entry.actor, entry.target, entry.before["name"]) == ("ann@box", gone, "gone")
    assert entry.reason.startswith("tidy up: deleted")


def test_a_run_that_still_logs_does_not_log_into_the_one_that_got_its_place(backend: Backend, home: Path) -> None:
    from backends.entities import MetricPoint

    run = old(backend, "a")
    backend.need("runs").log_points(run, [MetricPoint(key="auc", value=1.0)])
    backend.need("runs").delete(run, ANN)
    other = open_local(home)
    carry_out(other, preview_purge(other, [run]), ANN)
    taker = other.need("runs").create(name="taker", mutation=ANN)
    other.close()
    with pytest.raises(NotFound):
        backend.need("runs").log_points(run, [MetricPoint(key="auc", value=9.0)])
    assert backend.need("runs").get(taker.id).metrics == {}


def test_a_parent_waits_for_its_children(backend: Backend) -> None:
    runs = backend.need("runs")
    parent = old(backend, "parent")
    child = add_run(backend, "child", parent=parent)
    runs.delete(parent, ANN)
    with pytest.raises(Refused, match="parent of 1 runs that stay"):
        preview_purge(backend, [parent])
    runs.delete(child.id, ANN)
    assert carry_out(backend, preview_purge(backend, [parent, child.id]), ANN).gone == 2


def test_over_the_size_the_oldest_go_until_it_fits_and_none_in_vain(backend: Backend, home: Path) -> None:
    shared = b"s" * 9_000
    for at in range(6):
        old(backend, f"r{at}", days=60 - at, files={"own": bytes([at]) * 10_000})
    old(backend, "vain", days=99, files={"s": shared})
    keeper = old(backend, "keeper", days=98, files={"s": shared})
    backend.need("runs").set_note(keeper, "mine", ANN)
    now = preview(backend, Limits()).before
    found = preview(backend, Limits(max_bytes=now - 25_000))
    assert [each.name.split(" ")[0] for each in found.going] == ["r0", "r1", "r2"]
    assert found.bytes == 30_000
    assert not found.notes
    told = preview(backend, Limits(max_bytes=1)).notes
    assert "the rest is needed, or kept by the policy" in told[0]
    assert carry_out(backend, found, ANN).bytes == 30_000
    # A deleted run goes before files of others, unless a promise to keep it stands.
    last = backend.need("runs").page().items[0].id
    backend.need("runs").delete(last, ANN)
    now = preview(backend, Limits()).before
    assert preview(backend, Limits(max_bytes=now - 5)).going[0].part is Part.RUN
    promised = preview(backend, Limits(max_bytes=now - 5, deleted_ms=DAY))
    assert all(each.part is not Part.RUN for each in promised.going)


def test_dataset_versions_go_only_when_asked_and_unused(backend: Backend, tmp_path: Path) -> None:
    from backends.entities import DatasetInput
    from console.data.importing import import_file

    datasets = backend.need("datasets")
    for at in range(4):
        (tmp_path / "d.csv").write_text("a\n" + "".join(f"{at}{row}\n" for row in range(50)))
        import_file(datasets, tmp_path / "d.csv", "d", ANN)
    used = datasets.version("d@2")
    backend.need("runs").create(
        name="reads", mutation=ANN, inputs=[DatasetInput(dataset="d", version="2", digest=used.digest)]
    )
    datasets.set_note("d@3", "the good one", ANN)
    assert not preview(backend, ALL).going
    time.sleep(0.01)
    found = preview(backend, Limits(data_ms=0))
    assert [each.target for each in found.going] == ["d@1"]
    size = datasets.version("d@1").bytes
    freed = carry_out(backend, found, ANN)
    assert (freed.gone, freed.bytes) == (1, size)
    assert [each.version for each in datasets.versions("d").items] == ["4", "3", "2"]
    forced = Plan(going=tuple(Going(part=Part.DATA, target=f"d@{at}") for at in (2, 3, 4)), kept={})
    assert carry_out(backend, forced, ANN).gone == 0


def test_the_same_key_answers_the_same_and_removes_nothing_twice(backend: Backend) -> None:
    run = old(backend, "a", files={"m": b"m" * 500})
    backend.need("runs").delete(run, ANN)
    found, once = preview_purge(backend, [run]), msgspec.structs.replace(ANN, key="k1")
    first = carry_out(backend, found, once)
    assert carry_out(backend, found, once) == first
    assert sum(each.action == "workspace.clean" for each in backend.need("journal").page().items) == 1


def test_a_file_that_goes_while_it_is_put_is_put_again(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.local.objects import ObjectStore

    run, whole, calls = add_run(backend, "a").id, ObjectStore.put, []

    def put_and_lose(store: ObjectStore, file: Path):
        stored = whole(store, file)
        if not calls:
            store.remove(stored.sha256)
        calls.append(stored)
        return stored

    monkeypatch.setattr(ObjectStore, "put", put_and_lose)
    put(backend, run, "m", b"content")
    assert len(calls) == 2
    assert backend.need("artifacts").open(run, "m").read_bytes() == b"content"


def test_a_run_says_what_it_takes_and_what_of_it_was_removed(backend: Backend) -> None:
    from console.tui.lines import LineList
    from console.tui.run_lines import run_lines

    run = old(backend, "a", files={"m": b"m" * 2_000, "n": b"m" * 2_000, "o": b"o" * 1_000}, log=b"l" * 500)
    old(backend, "b", files={"m": b"m" * 2_000})
    room = backend.need("retention").room(run[:8])
    assert (room.bytes, room.log, room.shared) == (3_500, 500, 2_000)
    carry_out(backend, preview(backend, Limits(artifacts_ms=0)), ANN)
    assert backend.need("retention").room(run).bytes == 500
    body = LineList()
    body._lines = tuple(run_lines(backend.need("runs").get(run), 120, room=room))
    assert "on disk     3.5 kB, 2.0 kB shared with others" in body.text()
    assert "artifacts removed on 20" in body.text()


def test_beside_a_server_only_what_is_here_goes_and_the_rest_is_told(backend: Backend, home: Path) -> None:
    folder = home / "runs" / ("ab" * 16)
    folder.mkdir(parents=True)
    (home / "remote.json").write_text('{"name": "prod", "url": "mlflow+https://mlflow.example.org"}')
    (home / "tmp" / "draft").write_bytes(b"x" * 10)
    os.utime(home / "tmp" / "draft", (1, 1))
    for path in (folder, home / "runs"):
        os.utime(path, (1, 1))
    found = preview(backend, ALL)
    assert [each.target for each in found.going] == ["tmp/draft"], "the run of this folder is the server's"
    assert "mlflow gc" in found.notes[0]
    with pytest.raises(Refused, match="mlflow gc"):
        preview_purge(backend, ["ab" * 16])
    (home / "remote.json").unlink()
    assert {each.target for each in preview(backend, ALL).going} == {"tmp/draft", f"runs/{'ab' * 16}"}
    carry_out(backend, preview(backend, ALL), ANN)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("keep_deleted", "soon", "a time such as 30 d"),
        ("keep_logs", "5", "a time such as 30 d"),
        ("max_size", "50", "a size such as 50 GB"),
        ("max_size", "50 XB", "a size such as 50 GB"),
        ("keep", "the best", "is not known; there are"),
    ],
)
def test_a_policy_that_says_nothing_is_refused(field: str, value: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as caught:
        RetentionPolicy(**{field: value}).limits()
    assert caught.value.field == field


def test_a_policy_is_read_as_people_write_it() -> None:
    policy = RetentionPolicy(keep_deleted="30d", max_size="1.5 GiB", keep="registered, tagged, best 3 per experiment")
    limits = policy.limits()
    assert (limits.deleted_ms, limits.logs_ms) == (30 * DAY, None)
    assert (limits.max_bytes, limits.tagged, limits.best) == (3 * 2**29, True, (Best(3),))
    assert policy.words() == (
        "keep_deleted = 30d, max_size = 1.5 GiB, keep = registered, tagged, best 3 per experiment"
    )
