"""The files of a run, of what it logged, and of a version: looked into and saved from the screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from backends.contract import Backend
from backends.entities import ModelFile, ModelOutput, Signature
from console.training.picture_file import Ink
from console.tui.lines import LineList
from console.tui.picture_screen import PictureScreen
from tests.terminal.stage import add_run, by, on_stage, press, session, until, until_so

if TYPE_CHECKING:
    import pytest


def with_files(backend: Backend, folder: Path) -> str:
    """A run with a folder of its own and a logged model with another; registered from the run's."""
    run = add_run(backend)
    logged = backend.need("logged_models").create(name="tree", experiment=run.experiment, run=run.id, mutation=by())
    backend.need("logged_models").add_outputs(run.id, [ModelOutput(model=logged.id)])
    for owner, path in ((run.id, "notes/n.txt"), (run.id, "model/MLmodel"), (logged.id, "deep/inside.txt")):
        (folder / "file").write_text(f"content of {path}")
        backend.need("artifacts").put(owner, path, folder / "file")
    backend.need("registry").register(
        "churn", run=run.id, file=ModelFile(path="model/m.skops"), signature=Signature(), mutation=by()
    )
    return run.id


async def test_what_a_run_logged_stands_beside_its_files(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    with_files(opened.backend, tmp_path)
    async with on_stage(opened, size=(100, 30), pane="runs") as (app, pilot):
        await press(app, pilot, "a")
        text = await until(app, pilot, "tree/")
        assert "notes/" in text
        await press(app, pilot, "down", "down", "enter")
        await until(app, pilot, "┃ deep/")  # not on the way up
        await press(app, pilot, "enter")
        await until(app, pilot, "┃ inside.txt")
        await press(app, pilot, "enter")
        await until(app, pilot, "content of deep/inside.txt")
        await press(app, pilot, "escape")
        await until(app, pilot, "┃ inside.txt")
        await press(app, pilot, "up", "enter")
        await until(app, pilot, "┃ deep/")
        await press(app, pilot, "up", "enter")
        await until(app, pilot, "┃ tree/")


async def test_a_versions_files_are_those_of_its_folder_and_are_saved_over_nothing(tmp_path: Path, monkeypatch) -> None:
    opened = session(tmp_path / "ws")
    with_files(opened.backend, tmp_path)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    async with on_stage(opened, size=(100, 30), pane="models", argument="churn") as (app, pilot):
        await until(app, pilot, "Models › churn")
        await app.idle()
        await press(app, pilot, "a")
        text = await until(app, pilot, "MLmodel")
        assert "notes" not in text
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "Save MLmodel")
        await press(app, pilot, "enter")
        await until(app, pilot, "1 file")
        assert (tmp_path / "out" / "MLmodel").read_text() == "content of model/MLmodel"
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "Save MLmodel")
        await press(app, pilot, "enter")
        await until(app, pilot, "is there already")
        await press(app, pilot, "escape", "down", "enter")
        await until(app, pilot, "Save model")
        await press(app, pilot, "enter")
        await until_so(pilot, lambda: (tmp_path / "out" / "model" / "MLmodel").is_file())


async def test_a_version_whose_files_are_elsewhere_says_where(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    opened.backend.need("registry").register(
        "churn", run="", file=ModelFile(), signature=Signature(), mutation=by(), source="s3://bucket/model"
    )
    async with on_stage(opened, size=(100, 30), pane="models", argument="churn") as (app, pilot):
        await until(app, pilot, "Models › churn")
        await app.idle()
        await press(app, pilot, "a")
        await until(app, pilot, "its files are not in this context")


async def test_each_kind_of_file_is_looked_at_in_its_own_way(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    run = add_run(opened.backend)
    hostile = "\x1b]52;c;QQ==\x07[bold]\u202eevil"
    for path, content in (
        ("a.csv", f"n,{hostile.replace(';', '')}\n" + "".join(f"{n},x\n" for n in range(300))),
        ("b.json", json.dumps({"key": [1, 2], "h": hostile})),
        ("c.json", '{"a": }'),
        ("d.txt", f"{hostile}\n" + "hay\n" * 200_000 + "the needle\n"),
        ("e.bin", "\0\1abc"),
    ):
        (tmp_path / "file").write_text(content)
        opened.backend.need("artifacts").put(run.id, path, tmp_path / "file")
    looks = {
        "a.csv": "CSV", "b.json": '"key": [', "c.json": "no valid JSON", "d.txt": "hay", "e.bin": "00 01 61 62 63"
    }  # fmt: skip
    async with on_stage(opened, size=(110, 30), pane="runs") as (app, pilot):
        await press(app, pilot, "a")
        for name, wanted in looks.items():
            await until(app, pilot, "ctrl+s")
            assert app.screen.query_one("#choose-list", LineList).select(name)
            await press(app, pilot, "enter")
            text = await until(app, pilot, wanted)
            assert f"› {name}" in text
            assert "\x1b" not in text
            assert "\u202e" not in text
            if name == "a.csv":
                await press(app, pilot, "end")
                await until(app, pilot, "row 300 of 300")
            if name == "d.txt":
                await press(app, pilot, "slash", *"needle", "enter")
                await until(app, pilot, "the needle")
            await press(app, pilot, "escape")


def plot(path: Path) -> None:
    """Left half red, right half blue, a black line across; in PNG whatever the name."""
    picture = Image.new("RGB", (200, 100), "#d03030")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((100, 0, 199, 99), fill="#3050d0")
    draw.line((0, 50, 199, 50), fill="black", width=4)
    picture.save(path, "PNG")


def colours(screen: PictureScreen) -> set[str]:
    strips = screen.view._strips
    return {
        colour.triplet.hex
        for strip in strips
        for segment in strip
        if segment.style
        for colour in (segment.style.color, segment.style.bgcolor)
        if colour is not None and colour.triplet is not None
    }


async def test_a_picture_is_drawn_and_looked_at_nearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("console.tui.picture_screen.PictureScreen._ink", lambda _: Ink.COLOURS)
    opened = session(tmp_path / "ws")
    run = add_run(opened.backend)
    plot(tmp_path / "file")
    opened.backend.need("artifacts").put(run.id, "plot.png", tmp_path / "file")
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:200])
    opened.backend.need("artifacts").put(run.id, "rest.png", tmp_path / "file")
    async with on_stage(opened, size=(80, 24), pane="runs") as (app, pilot):
        await press(app, pilot, "a")
        await until(app, pilot, "plot.png")
        await press(app, pilot, "enter")
        await until(app, pilot, "200 × 100 pixels")
        shown = app.screen
        assert isinstance(shown, PictureScreen)
        await until_so(pilot, lambda: shown._drawn is not None)
        assert {"#d03030", "#3050d0", "#000000"} <= colours(shown)
        assert shown._drawn is not None
        # As high as the screen allows, in the shape of the picture.
        assert (len(shown._drawn.rows), shown._drawn.shown) == (19, (0, 0, 200, 100))
        await press(app, pilot, "plus", "plus", "right", "right", "right", "right", "right")
        await until(app, pilot, "columns 106 … 200")
        await until_so(pilot, lambda: "#d03030" not in colours(shown))
        await press(app, pilot, "0")
        await until_so(pilot, lambda: shown._drawn.shown == (0, 0, 200, 100))
        await press(app, pilot, "escape")
        await until(app, pilot, "rest.png")
        await press(app, pilot, "down", "enter")
        await until(app, pilot, "cannot be decoded")
        await until(app, pilot, "89 50 4e 47")


async def test_without_colours_a_picture_is_shades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    opened = session(tmp_path / "ws")
    run = add_run(opened.backend)
    plot(tmp_path / "file")
    opened.backend.need("artifacts").put(run.id, "plot.png", tmp_path / "file")
    async with on_stage(opened, size=(80, 24), pane="runs") as (app, pilot):
        await press(app, pilot, "a")
        await until(app, pilot, "plot.png")
        await press(app, pilot, "enter")
        await until_so(pilot, lambda: isinstance(app.screen, PictureScreen) and app.screen._drawn is not None)
        assert isinstance(app.screen, PictureScreen)
        assert set(app.screen.view.plain()) - set(" \n") <= set("░▒▓█:#%@*+=-.")
        assert not colours(app.screen)
