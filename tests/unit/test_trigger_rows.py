"""Which rows a retrain is given of a monitor: those that its folders keep, with the labels that came however."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from backends.contract import Backend, Invalid, Refused
from backends.entities import Deployment, Monitor, Target
from backends.local import open_local
from console.monitoring.create import create_monitor
from console.monitoring.feeds.handing import hand_over, waiting_files
from console.monitoring.feeds.scored import read_pending
from console.monitoring.folder import monitor_folder
from console.monitoring.scorer import Scorer
from console.serving.deployment.place import folder_of
from console.triggers.create import create_trigger, told
from console.triggers.definition import parse_trigger
from console.triggers.gather import Wish, check_keeps_rows, gather
from tests.monitored import FEATURES, WHO, register, traffic, until

START = 1_709_251_200_000
"""2024-03-01 UTC."""
LOGGED = {"id_column": "prediction.id", "time_column": "prediction.time", "label_column": "late", "window": "hour"}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    home = tmp_path_factory.mktemp("workspace")
    made = open_local(home)
    train, held = traffic(1500, 50), traffic(500, 51)
    register(
        made, home / "made", "deliveries",
        train[FEATURES], train["late"].to_numpy(), held[FEATURES], held["late"].to_numpy(), iterations=5,
    )  # fmt: skip
    yield made
    made.close()


def log_of(backend: Backend, deployment: str) -> Path:
    assert backend.home is not None
    folder = folder_of(backend.home, deployment) / "log"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def answered(rows: pd.DataFrame, first: int = 0) -> str:
    """Lines as a model server writes them."""
    lines = []
    for at, row in enumerate(rows[FEATURES].to_dict("records"), first):
        own = {"id": f"p{at}", "time": START + at, "version": "1", "value": "no", "score": 0.25}
        lines.append(json.dumps({f"prediction.{key}": value for key, value in own.items()} | row))
    return "".join(line + "\n" for line in lines)


def served(backend: Backend, name: str, **more: Any) -> Monitor:
    """A monitor that is fed by the log of a deployment of its name."""
    backend.need("deployments").create(
        Deployment(name=name, model="deliveries", targets=(Target(version="1"),), desired="stopped"), WHO
    )
    made: Monitor = create_monitor(backend, name, "deliveries", mutation=WHO, deployment=name, **{**LOGGED, **more})
    return made


def gathered(backend: Backend, name: str, out: Path, also: tuple[str, ...] = ()) -> pd.DataFrame:
    count = gather(backend, Wish(monitor=name, target="late", also=also), out)
    found = pd.read_csv(out)
    assert len(found) == count
    return found


def count_all(backend: Backend, name: str, rows: int) -> None:
    """Let a scorer take what there is, until it has counted so many rows."""
    scorer = Scorer(backend, name)
    monitor = scorer.definition()
    assert monitor is not None

    def done() -> bool:
        scorer.step(monitor)
        return not waiting_files(backend, name) and backend.need("monitors").get(name).rows >= rows

    until(done, seconds=60, what="counting")


def test_a_servers_log_and_labels_that_were_handed_in_are_what_is_trained_on(backend: Backend, tmp_path: Path) -> None:
    served(backend, "live")
    rows = traffic(120, 7)
    log = log_of(backend, "live")
    (log / "20240301T000000-a-000001.jsonl").write_text(answered(rows[:80]))
    (log / "20240301T000100-a-000002.jsonl").write_text(answered(rows[80:], 80))
    (log / "20240301T000200-a-000003.jsonl.part").write_text(answered(rows[:1], 500))
    truth = {f"p{at}": late for at, late in enumerate(rows["late"])}
    given = [{"prediction.id": name, "late": late} for name, late in list(truth.items())[:90]]
    given.append({"prediction.id": "p3", "late": "no" if truth["p3"] == "yes" else "yes"})  # wrong, and put right below
    count_all(backend, "live", 120)
    for part in (given, [{"prediction.id": "p3", "late": truth["p3"]}]):
        data = b"".join(json.dumps(row).encode() + b"\n" for row in part)
        hand_over(backend, "live", data, labels=True)
        count_all(backend, "live", 120)
    found = gathered(backend, "live", tmp_path / "out.csv", also=("prediction.time",))
    assert list(found.columns) == [*FEATURES, "prediction.time", "late"]
    assert found["late"].tolist() == rows["late"].tolist()[:90]
    assert found["weight"].tolist() == pytest.approx(rows["weight"].tolist()[:90])
    # What came before its rows waits for them, and counts as soon as they are in the log.
    early = [{"prediction.id": f"p{at}", "late": "yes"} for at in range(200, 210)]
    hand_over(backend, "live", b"".join(json.dumps(row).encode() + b"\n" for row in early), labels=True)
    count_all(backend, "live", 120)
    assert len(read_pending(monitor_folder(backend, "live"))) == 10
    (log / "20240301T000300-a-000004.jsonl").write_text(answered(rows[:10], 200))
    assert gathered(backend, "live", tmp_path / "more.csv")["late"].tolist()[90:] == ["yes"] * 10


def test_a_column_that_the_recipe_leaves_aside_is_there_whether_or_not_rows_have_it(
    backend: Backend, tmp_path: Path
) -> None:
    served(backend, "aside")
    rows = traffic(60, 9)
    lines = [json.loads(line) | {"seen": "x", "late": "yes"} for line in answered(rows).splitlines()]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (log_of(backend, "aside") / "20240301T000000-a-000001.jsonl").write_text(text)
    wish = Wish(monitor="aside", target="late", unused=("seen", "row_id", FEATURES[0]))
    assert gather(backend, wish, tmp_path / "out.csv") == 60
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found.columns) == [*FEATURES, "seen", "row_id", "late"]
    assert set(found["seen"]) == {"x"}
    assert found["row_id"].isna().all()


def test_a_trigger_on_such_a_monitor_can_be_made_and_says_what_it_would_do(backend: Backend, tmp_path: Path) -> None:
    served(backend, "planned")
    recipe = (
        'dataset = "fresh"\ntarget = "late"\ntask = "classification"\npositive = "yes"\n[estimator]\n'
        'class = "sklearn.linear_model.LogisticRegression"\n'
    )
    text = (
        "name = 'again'\n[when]\nmonitor = 'planned'\nrows = 100\n[do]\nrows_of = 'planned'\nmodel = 'deliveries'\n"
        f"retrain = '''\n{recipe}'''\n"
    )
    create_trigger(backend, parse_trigger(text, "test", base=tmp_path), WHO)
    assert "train on a new version of fresh from the labelled rows of planned" in told(backend, "again")
    create_monitor(backend, "handed", "deliveries", mutation=WHO, **LOGGED)
    with pytest.raises(Refused, match="is handed its rows, which are counted and not kept"):
        create_trigger(backend, parse_trigger(text.replace("planned", "handed").replace("again", "b"), "test"), WHO)
    served(backend, "unlabelled", label_column="")
    with pytest.raises(Refused, match="has no label column"):
        check_keeps_rows(backend.need("monitors").get("unlabelled"))


def test_a_column_that_the_log_redacts_is_named_as_what_is_wanting(backend: Backend, tmp_path: Path) -> None:
    served(backend, "discreet", redact=("weight",))
    lines = [json.loads(line) for line in answered(traffic(60, 8)).splitlines()]
    text = "".join(json.dumps({key: value for key, value in line.items() if key != "weight"}) + "\n" for line in lines)
    (log_of(backend, "discreet") / "a.jsonl").write_text(text)
    with pytest.raises(Invalid, match=r"'weight' is gone in a\.jsonl \(it is redacted, so nobody keeps it\)"):
        gathered(backend, "discreet", tmp_path / "out.csv")


def test_labels_in_the_rows_rotated_files_and_subfolders(backend: Backend, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "done").mkdir(parents=True)
    rows = traffic(150, 9)
    rows[["at", *FEATURES, "late"]][:60].to_csv(folder / "now.csv", index=False)
    rows[["at", *FEATURES, "late"]][60:100].to_csv(folder / "now.csv.1", index=False)
    rows[["at", *FEATURES, "late"]][100:].to_csv(folder / "done" / "old.csv", index=False)
    (folder / "broken.csv").write_text("weight\n")
    monitor = create_monitor(
        backend, "files", "deliveries", mutation=WHO, source=str(folder), label_column="late", time_column="at"
    )  # fmt: skip
    found = gathered(backend, monitor.name, tmp_path / "out.csv")
    assert len(found) == 100, "a scorer does not look into folders within it"
    assert sorted(found["late"]) == sorted(rows["late"][:100])
    (folder / "now.csv").unlink()
    with pytest.raises(Invalid, match=r"40 of 40 rows of monitor files have a label.* 1 files were left out"):
        gathered(backend, monitor.name, tmp_path / "few.csv")
