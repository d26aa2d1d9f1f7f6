"""A version on the screen: what its MLmodel says of it."""

from __future__ import annotations

from pathlib import Path

from backends.contract import Backend, Unreachable
from backends.entities import AliasMove, ModelFile, ModelVersion, Signature
from console.tui import ink
from console.tui.model_lines import history_lines
from tests.terminal.stage import ACTOR, add_run, by, on_stage, press, session, until
from tests.unit.test_mlmodel import MLMODEL


def logged(backend: Backend, folder: Path, text: str = MLMODEL) -> ModelVersion:
    """Registered by somebody who recorded nothing but where the files are."""
    run = add_run(backend)
    for name, content in (("MLmodel", text), ("requirements.txt", "mlflow==3.17.2\nscikit-learn==1.7.0\n")):
        (folder / "file").write_text(content)
        backend.need("artifacts").put(run.id, f"model/{name}", folder / "file")
    made: ModelVersion = backend.need("registry").register(
        "churn", run=run.id, file=ModelFile(), signature=Signature(), mutation=by(), source=f"runs:/{run.id}/model"
    )
    return made


async def test_a_version_says_how_it_is_packed_what_it_takes_and_needs(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    logged(opened.backend, tmp_path, MLMODEL.replace("3.17.2", "3.17.2[/red]"))
    async with on_stage(opened, size=(120, 60), pane="models", argument="churn") as (app, pilot):
        text = await until(app, pilot, "package")
        for said in ("python_function, sklearn", "3.17.2[/red]", "scikit-learn==1.7.0", "it's", "tensor int64 (-1)"):
            assert said in text
        assert "runs code when loaded" in text


async def test_a_version_whose_files_cannot_be_reached_says_why(tmp_path: Path, monkeypatch) -> None:
    opened = session(tmp_path / "ws")
    logged(opened.backend, tmp_path)

    def away(*_: object) -> Path:
        raise Unreachable("the files are on a server that is away")

    monkeypatch.setattr(type(opened.backend.artifacts), "open", away)
    async with on_stage(opened, size=(120, 60), pane="models", argument="churn") as (app, pilot):
        await until(app, pilot, "its MLmodel: the files are on a server")


async def test_the_promotion_says_how_the_signatures_differ(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    logged(opened.backend, tmp_path)
    opened.backend.need("registry").set_alias("churn", "champion", "1", expected=None, mutation=by())
    logged(opened.backend, tmp_path, MLMODEL.replace('"name": "x"', '"name": "z"'))
    async with on_stage(opened, size=(120, 40), pane="models", argument="churn") as (app, pilot):
        await until(app, pilot, "package")
        await press(app, pilot, "p")
        text = await until(app, pilot, "Promote churn v2")
        assert "signature: adds z; removes x" in text


async def test_a_version_says_who_moved_which_alias_when_from_where_and_why(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    registry = opened.backend.need("registry")
    for _ in range(2):
        logged(opened.backend, tmp_path)
    registry.set_alias("churn", "champion", "1", expected=None, mutation=by("the first"))
    registry.set_alias("churn", "champion", "2", expected="1", mutation=by("better [/red]"))
    for at in range(10):
        registry.set_alias("churn", "canary", "2" if at % 2 else "1", expected=None, mutation=by())
        registry.set_alias("churn", "canary", None, expected="2" if at % 2 else "1", mutation=by())
    async with on_stage(opened, size=(140, 70), pane="models", argument="churn") as (app, pilot):
        text = await until(app, pilot, "history")
        assert "set by" in text
        assert "earlier moves: d shows them" in text
        await press(app, pilot, "d")
        await press(app, pilot, "end")
        text = await until(app, pilot, "became champion after v1")
        for said in (f"promoted by {ACTOR}", "“better [/red]”", "journal "):
            assert said in text
        await press(app, pilot, "escape", "escape", "d")
        text = await until(app, pilot, "canary: v2 → nothing")
        assert "taken away by" in text


async def test_mlflows_own_tags_are_counted_and_d_shows_them(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    tags = {"mlflow.sklearn.x": "noise", "_mlflow_y": "noise", "team": "red"}
    run = add_run(opened.backend, tags=tags)
    opened.backend.need("registry").register(
        "churn", run=run.id, file=ModelFile(), signature=Signature(), mutation=by(), tags=tags
    )
    for pane, argument in (("models", "churn"), ("runs", "")):
        async with on_stage(opened, size=(140, 60), pane=pane, argument=argument) as (app, pilot):
            text = await until(app, pilot, "2 of MLflow's own: d shows them")
            assert "team" in text
            assert "noise" not in text
            await press(app, pilot, "d")
            await until(app, pilot, "mlflow.sklearn.x")
    async with on_stage(opened, size=(80, 24), pane="runs") as (app, pilot):  # nothing is read of a run beside the list
        await until(app, pilot, "flights-hgb")
        await press(app, pilot, "d", "end")
        await until(app, pilot, "mlflow.sklearn.x")


def test_a_move_that_no_console_made_says_so() -> None:
    move = AliasMove(
        model="churn", alias="champion", version="2", previous="1", at=1, actor="somebody else", action="elsewhere"
    )
    version = ModelVersion(model="churn", version="1", created_at=1)
    said = [ink.plain(line.spans) for line in history_lines(version, (move,))]
    assert "left champion for v2" in said[2]
    assert "moved without a console by somebody else" in said[3]
