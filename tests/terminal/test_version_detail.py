"""A version on the screen: what its MLmodel says of it."""

from __future__ import annotations

from pathlib import Path

from backends.contract import Backend, Unreachable
from backends.entities import ModelFile, ModelVersion, Signature
from tests.terminal.stage import add_run, by, on_stage, press, session, until
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
