"""Actions that change nothing but the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.tui.panes import BY_ID

if TYPE_CHECKING:
    from console.tui.here import Here


def _go(here: Here, pane: str) -> None:
    if pane not in BY_ID:
        here.app.tell(f"{pane}: there is no such pane in this release", severity="warning")
        return
    here.app.show_pane(pane, here.argument)


def go_overview(here: Here) -> None:
    _go(here, "overview")


def go_datasets(here: Here) -> None:
    _go(here, "datasets")


def go_runs(here: Here) -> None:
    _go(here, "runs")


def go_models(here: Here) -> None:
    from console.tui.panes.models import ModelsPane

    here.app.show_pane("models")
    if isinstance(here.app.pane, ModelsPane):
        here.app.pane.choose("model", here.argument)


def go_monitor(here: Here) -> None:
    _go(here, "monitor")


def go_deployments(here: Here) -> None:
    here.app.show_pane("deployments", here.argument)


def go_journal(here: Here) -> None:
    _go(here, "journal")


def open_selected(here: Here) -> None:
    if here.view:
        here.view.open_selected()


def mark(here: Here) -> None:
    if here.view:
        here.view.mark()
        here.app.refresh_frame()


def sort(here: Here) -> None:
    if here.view:
        here.view.sort(column=here.argument)


def sort_reverse(here: Here) -> None:
    if here.view:
        here.view.sort(reverse=True)


def refresh(here: Here) -> None:
    here.app.ask_again()


def back(here: Here) -> None:
    """One step out: error line, then what is being worked out, then what the pane has open."""
    if here.app.dismiss_problem() or here.app.stop_looking() or here.app.stop_asking():
        return
    if here.view and here.view.back():
        here.app.refresh_frame()


async def back_or_quit(here: Here) -> None:
    if here.app.dismiss_problem():
        return
    if here.view and here.view.back():
        here.app.refresh_frame()
        return
    await quit_now(here)


async def quit_now(here: Here) -> None:
    """Changes under way are finished first; runs go on without us."""
    await here.app.leave()


def welcome(here: Here) -> None:
    here.app.welcome = True
    here.app.show_pane("overview")
    if here.app.pane:
        here.app.pane.refresh_data()


async def filter_rows(here: Here) -> None:
    bar = here.view.filter_bar() if here.view is not None else None
    if bar is None:
        here.app.tell("this pane has no filter", severity="warning")
        return
    await here.app.open_bar(bar)


async def command_bar(here: Here) -> None:
    from console.tui.command_bar import CommandBar

    await here.app.open_bar(CommandBar(here))


def show_help(here: Here) -> None:
    from console.tui.help import HelpScreen

    here.app.push_screen(HelpScreen(here), here.app.perform_chosen)


def palette(here: Here) -> None:
    from console.tui.help import HelpScreen

    here.app.push_screen(HelpScreen(here, short=True), here.app.perform_chosen)


async def describe(here: Here) -> None:
    from console.tui.reading import ReadingScreen

    if here.view is None:
        return
    lines = list(here.view.details())
    if not lines:
        from console.tui.describing import record_lines

        lines = record_lines(here.selected)
    reading = ReadingScreen(" › ".join(here.view.crumbs()), lines)
    here.app.push_screen(reading)
    more = await here.view.described()
    if more is not None:
        reading.show(more)


def show_error(here: Here) -> None:
    from console.tui.reading import ReadingScreen

    problem = here.app.problem
    if problem is None:
        here.app.tell("no error so far")
        return
    here.app.push_screen(ReadingScreen("Error", problem.lines()))


async def copy(here: Here) -> None:
    from console.tui.clipboard import copy as to_clipboard
    from console.tui.dialogs import Choose

    offered = list(here.view.copies()) if here.view else []
    if not offered:
        here.app.tell("nothing here to copy", severity="warning")
        return
    value = offered[0][1]
    if len(offered) > 1:
        chosen = await here.app.ask(
            Choose("Copy", [(str(index), label, text) for index, (label, text) in enumerate(offered)])
        )
        if chosen is None:
            return
        value = offered[int(chosen)][1]
    here.app.tell(to_clipboard(here.app, value))


async def export(here: Here) -> None:
    from console.tui.dialogs import Ask
    from console.tui.exporting import export_rows

    view = here.view
    if view is None:
        return
    target = here.argument or await here.app.ask(
        Ask("Export the rows as shown", "file", f"{view.PANE}.csv", note=".csv, .json or .jsonl")
    )
    if not target:
        return
    written = await here.app.look_up(lambda: export_rows(view, target))
    here.app.tell(written)


async def switch_theme(here: Here) -> None:
    from console.tui.dialogs import Choose
    from console.tui.theme import PALETTES

    name = here.argument or await here.app.ask(Choose("Theme", [(each, each, "") for each in PALETTES]))
    if not name:
        return
    if f"console-{name}" in PALETTES:
        name = f"console-{name}"  # `:theme light`
    if name not in PALETTES:
        here.app.tell(f"no theme {name}; there are {', '.join(PALETTES)}", severity="warning")
        return
    here.app.theme = name
