"""Looking into the files of a run, of a model that it logged, or of a version, a folder at a time; and saving them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from backends.contract import Refused
from backends.entities import Artifact, LoggedModel, ModelVersion, Progress, Run
from console.safe import safe_text
from console.training.preview import look_at
from console.tui.dialogs import Ask
from console.tui.files_dialog import ChooseFile
from console.tui.lines import wrapped
from console.tui.reading import ReadingScreen
from console.wording import plural, size

if TYPE_CHECKING:
    from console.tui.here import Here

MODELS: Final = 50
"""Logged models of a run that are listed."""
_UP: Final = ".."
_ALL: Final = "."


@dataclass(frozen=True)
class Spot:
    """A folder of somebody's files, and how one got there."""

    owner: str
    folder: str
    title: str
    top: str = ""
    """The folder that one began in: there is no way up from it, but to `behind`."""
    behind: Spot | None = None

    @property
    def name(self) -> str:
        """What the folder is called when it is saved."""
        return self.folder.rpartition("/")[2] or self.title


async def browse(here: Here) -> None:
    """Folders and files; enter goes in, or shows what is in a file, ctrl+s saves."""
    spot = _start(here.selected)
    store = here.backend.artifacts
    left = ""
    while True:
        found: tuple[Artifact, ...] = await here.app.look_up(partial(store.children, spot.owner, spot.folder))
        models = await here.app.look_up(partial(_models, here.backend, spot))
        if not found and not models and spot.behind is None and spot.folder == spot.top:
            here.app.tell(f"{spot.title} left no files")
            return
        options = _options(spot, found, models)
        # On what one came back from, else on the first thing that leads further: not on the way up.
        begin = next((key for key, _, _ in options if key == left), None)
        dialog = ChooseFile(_heading(spot), options, begin or next((key for key, _, _ in options if key != _UP), ""))
        picked = await here.app.ask(dialog)
        if picked is None:
            return
        left = picked
        if picked == _UP:
            up = spot.folder.rpartition("/")[0]
            left = spot.owner if spot.folder == spot.top else spot.folder
            spot = spot.behind if spot.folder == spot.top and spot.behind else replace(spot, folder=up)
        elif picked in models:
            inner = Spot(picked, "", models[picked].name or picked, behind=spot)
            if dialog.saving:
                await _save(here, inner, "", inner.title)
            else:
                spot = inner
        elif dialog.saving or picked == _ALL:
            path = spot.folder if picked == _ALL else picked
            await _save(here, spot, path, spot.name if picked == _ALL else picked.rpartition("/")[2])
        else:
            chosen = next(each for each in found if each.path == picked)
            if chosen.folder:
                spot = replace(spot, folder=chosen.path)
            else:
                await _show(here, spot, chosen)


def _start(chosen: object) -> Spot:
    if isinstance(chosen, Run):
        return Spot(chosen.id, "", chosen.name)
    assert isinstance(chosen, ModelVersion)  # noqa: S101 or the action were not available
    from console.training.download import home_of

    place = home_of(chosen)
    return Spot(place.owner, place.folder, f"{chosen.model}-v{chosen.version}", top=place.folder)


def _models(backend: Any, spot: Spot) -> dict[str, LoggedModel]:
    """The models that a run logged: they stand beside its files. By id."""
    if backend.logged_models is None or spot.folder or spot.behind is not None or spot.owner.startswith("m-"):
        return {}
    return {each.id: each for each in backend.logged_models.page(run=spot.owner, limit=MODELS).items}


def _heading(spot: Spot) -> str:
    return f"Files of {safe_text(spot.title, 40)}  {safe_text(spot.folder, 60)}"


def _options(spot: Spot, found: tuple[Artifact, ...], models: dict[str, LoggedModel]) -> list[tuple[str, str, str]]:
    up = spot.folder != spot.top or spot.behind is not None
    options = [(_UP, "..", "up")] if up else []
    options += [(each.path, _named(each), "folder" if each.folder else size(each.bytes)) for each in found]
    options += [(key, f"{each.name or key}/", f"model {key}  {each.type}".rstrip()) for key, each in models.items()]
    return [*options, (_ALL, ".", "save all that is here")] if found else options


def _named(found: Artifact) -> str:
    return found.path.rpartition("/")[2] + ("/" if found.folder else "")


# ---------------------------------------------------------------- saving


async def _save(here: Here, spot: Spot, path: str, name: str) -> None:
    """To a folder that is asked for; what is there already stays as it is."""
    from console.training.download import download

    plain = "".join(letter if letter.isprintable() and letter not in "/\\" else "_" for letter in name)
    if plain in ("", ".", ".."):
        plain = "files"
    asked = Ask(f"Save {safe_text(plain, 50)}", "into folder", str(Path.cwd()), check=partial(_refusal, plain))
    folder = await here.app.ask(asked)
    if folder is None:
        return
    target = Path(folder).expanduser() / plain
    say = here.app.report(f"saving {safe_text(plain, 40)}")
    try:
        files, total = await here.app.carry_out(partial(download, here.backend, spot.owner, path, target, say))
    finally:
        here.app.say_work(())
    here.app.tell(f"{plural(files, 'file')}, {size(total)}, saved as {target}")


def _refusal(name: str, folder: str) -> str:
    path = Path(folder).expanduser()
    if not path.is_dir():
        return f"{path} is no folder; make it first, or choose another"
    if (path / name).exists():
        return f"{name} is there already and stays as it is; choose another folder"
    return ""


# ---------------------------------------------------------------- looking


async def _show(here: Here, spot: Spot, found: Artifact) -> None:
    """What is in a file, in the way that its kind is looked at; what is elsewhere is fetched first, with a progress
    line."""
    from console.tui.file_screen import file_screen

    say = here.app.report(f"fetching {safe_text(found.path, 40)}")
    came = 0

    def fetched(more: int) -> None:
        nonlocal came
        came += more
        share = min(1.0, came / found.bytes) if found.bytes else None
        say(Progress(at=int(time.time() * 1_000), fraction=share, stage=size(found.bytes)))

    try:
        seen = await here.app.look_up(partial(look_at, here.backend, found, fetched))
        screen = await here.app.look_up(partial(file_screen, f"{spot.title} › {found.path}", seen, found.sha256))
    except Refused as error:
        lines = wrapped(safe_text(error, 400), 90, "warn")
        screen = ReadingScreen(f"{spot.title} › {found.path}", lines)
    finally:
        here.app.say_work(())
    await here.app.push_screen_wait(screen)
