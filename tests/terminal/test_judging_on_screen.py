"""Bias and audit on the screen: asked for by a key, read as bars and words, hostile names inert."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from backends.contract import Mutation
from backends.entities import CheckResult, GateStatus
from console.data.importing import import_file
from console.training.audit.read import FILE, Audit
from console.tui.verbs.judging import _several
from tests.terminal.stage import add_run, add_version, on_stage, press, session, until

HOSTILE = "[/red]m\x1b]52;c;aGk=\x07"


def people(folder: Path, rows: int = 600) -> Path:
    rng = np.random.default_rng(0)
    sex = np.array(["f", "m"])[rng.integers(0, 2, rows)]
    frame = pd.DataFrame({"sex": sex, "hired": (rng.random(rows) < np.where(sex == "f", 0.2, 0.6)).astype(int)})
    frame["sex"] = frame["sex"].replace("m", HOSTILE)
    frame.to_parquet(folder / "people.parquet")
    return folder / "people.parquet"


async def test_groups_of_a_version_are_compared_by_a_key(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    import_file(opened.backend.need("datasets"), people(tmp_path), "people", Mutation("a@b"))
    for size in ((80, 24), (120, 40)):
        async with on_stage(opened, size=size, pane="datasets") as (app, pilot):
            await until(app, pilot, "people")
            await press(app, pilot, "B")
            await until(app, pilot, "Compare the groups of people@1")
            await press(app, pilot, *"sex", "tab", *"hired", "ctrl+s")
            text = await until(app, pilot, "label rate")
            assert "█" in text
            assert "\x1b" not in text
            assert "[/red]m" in text
            await press(app, pilot, "end")
            await until(app, pilot, "label rate ratio")
            await press(app, pilot, "escape")
    kept = opened.backend.need("reports").latest("bias", "people@1")
    assert kept is not None
    assert kept.status is GateStatus.FAIL


async def test_what_is_missing_in_the_form_and_in_the_data_is_told(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    import_file(opened.backend.need("datasets"), people(tmp_path), "people", Mutation("a@b"))
    async with on_stage(opened, size=(100, 30), pane="datasets") as (app, pilot):
        await until(app, pilot, "people")
        await press(app, pilot, "B")
        await until(app, pilot, "Compare the groups")
        await press(app, pilot, *"sexx", "tab", *"hired", "ctrl+s")
        await until(app, pilot, "did you mean sex")


async def test_the_audit_of_a_run_and_of_its_version_is_read(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    run = add_run(opened.backend)
    bad = CheckResult(
        check="slices", kind="slices", status=GateStatus.WARN, value=f"2.5 times the loss where x = {HOSTILE}",
        rule="no slice has over 1.5 times the loss", examples=(f"x = {HOSTILE}: 2.5 times",),
    )  # fmt: skip
    (tmp_path / "audit").write_bytes(msgspec.json.encode(Audit(results=(bad,))))
    opened.backend.need("artifacts").put(run.id, FILE, tmp_path / "audit")
    add_version(opened.backend, "churn", run)
    async with on_stage(opened, size=(100, 30), pane="runs") as (app, pilot):
        await until(app, pilot, run.name)
        await press(app, pilot, "A")
        text = await until(app, pilot, "2.5 times the loss")
        assert "wanted: no slice" in text
        assert "\x1b" not in text
        await press(app, pilot, "escape")
    async with on_stage(opened, size=(100, 30), pane="models", argument="churn") as (app, pilot):
        await until(app, pilot, "v1")
        await press(app, pilot, "A")
        await until(app, pilot, "audit of churn@1")
    plain = add_run(opened.backend, "plain")
    async with on_stage(opened, size=(100, 30), pane="runs") as (app, pilot):
        await until(app, pilot, plain.name)
        await press(app, pilot, "A")
        await until(app, pilot, "was not audited")


def test_several_groups_are_told_apart_by_commas_outside_brackets() -> None:
    assert _several("sex, carrier in ('AA', 'UA') ,age < 3") == ("sex", "carrier in ('AA', 'UA')", "age < 3")
    assert _several(" , ") == ()
