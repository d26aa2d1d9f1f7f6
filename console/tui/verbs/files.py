"""Looking into the files that a run left, a folder at a time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from backends.entities import Artifact, Run
from console.safe import safe_lines, safe_text
from console.tui.dialogs import Choose
from console.tui.lines import Line
from console.tui.reading import ReadingScreen
from console.wording import size

if TYPE_CHECKING:
    from console.tui.here import Here

LARGEST: Final = 20 * 1024 * 1024
"""Bytes of a file that is fetched to be looked at."""
SHOWN: Final = 200_000
"""Bytes of it that are read."""
_UP: Final = ".."


async def browse(here: Here) -> None:
    """Folders and files; enter goes in, or shows what is in a file."""
    run = here.selected
    assert isinstance(run, Run)  # noqa: S101 or the action were not available
    store = here.backend.artifacts
    folder = ""
    while True:
        found: tuple[Artifact, ...] = await here.app.look_up(partial(store.children, run.id, folder))
        if not found and not folder:
            here.app.tell(f"{run.name} left no files")
            return
        options = [(_UP, "..", "up")] if folder else []
        options += [(each.path, _named(each), "folder" if each.folder else size(each.bytes)) for each in found]
        picked = await here.app.ask(Choose(f"Files of {safe_text(run.name, 40)}  {safe_text(folder, 60)}", options))
        if picked is None:
            return
        if picked == _UP:
            folder = folder.rpartition("/")[0]
            continue
        chosen = next(each for each in found if each.path == picked)
        if chosen.folder:
            folder = chosen.path
        else:
            await _show(here, run, chosen)


def _named(found: Artifact) -> str:
    return found.path.rpartition("/")[2] + ("/" if found.folder else "")


async def _show(here: Here, run: Run, found: Artifact) -> None:
    """The text of a file, or what is known of one that is none."""
    if found.bytes > LARGEST:
        lines = [Line([(f"{size(found.bytes)}: too large to look at; mlops-console run download fetches it", "warn")])]
    else:
        lines = await here.app.look_up(lambda: _read(here.backend.artifacts.open(run.id, found.path), found))
    await here.app.push_screen_wait(ReadingScreen(f"{run.name} › {found.path}", lines))


def _read(path: Path, found: Artifact) -> list[Line]:
    with path.open("rb") as file:
        content = file.read(SHOWN + 1)
    head = f"{size(found.bytes)}" + (f"  sha256 {found.sha256}" if found.sha256 else "")
    lines = [Line([(head, "dim")]), Line([("", "")])]
    if b"\0" in content[:8_000]:
        return [*lines, Line([("not text; mlops-console run download fetches it", "warn")])]
    text = content[:SHOWN].decode("utf-8", "replace")
    lines += [Line([(line, "")]) for line in safe_lines(text)]
    if len(content) > SHOWN:
        lines.append(Line([(f"… the first {size(SHOWN)} of it", "warn")]))
    return lines
