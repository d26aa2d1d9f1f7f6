"""`:onnx` on a version: what its ONNX form says beside the model, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import Refused
from backends.entities import CheckResult, GateStatus, Report
from tests.terminal.stage import add_run, add_version, on_stage, press, session, until

REPORT = Report(
    kind="onnx",
    subject="churn@1",
    status=GateStatus.FAIL,
    at=1,
    digest="a" * 64,
    results=(CheckResult(check="same class", kind="parity", status=GateStatus.FAIL, value="9 of 10 rows", rule="all"),),
    figures={"rows": 10, "equal": 0.9, "largest": 0.25, "compared": "probability"},
)


@pytest.fixture
def opened(tmp_path: Path):
    made = session(tmp_path / "ws")
    add_version(made.backend, "churn", add_run(made.backend))
    return made


async def ask(app, pilot) -> None:
    await until(app, pilot, "v1")
    await press(app, pilot, "colon", *"onnx", "enter")


async def test_a_form_that_differs_is_shown_with_how_far(opened, monkeypatch) -> None:
    monkeypatch.setattr("console.serving.onnx.worker.export_onnx", lambda *_args, **_named: REPORT)
    async with on_stage(opened, size=(80, 24), pane="models", argument="churn") as (app, pilot):
        await ask(app, pilot)
        await until(app, pilot, "9 of 10 rows")
        text = await until(app, pilot, "not kept")
        assert "ONNX form of churn@1" in text
        assert "0.25" in text


async def test_what_has_no_form_says_why(opened, monkeypatch) -> None:
    def refused(*_: object, **__: object) -> Report:
        raise Refused("no ONNX form: odd steps")

    monkeypatch.setattr("console.serving.onnx.worker.export_onnx", refused)
    async with on_stage(opened, size=(80, 24), pane="models", argument="churn") as (app, pilot):
        await ask(app, pilot)
        await until(app, pilot, "odd steps")
