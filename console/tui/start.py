"""Running the app on a terminal that the skeleton is painted on, and printing a pane as text."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

from console.tui.app import ConsoleApp

if TYPE_CHECKING:
    from console.launch import Wanted


class PaintedDriver(LinuxDriver):
    """Textual's driver on a screen that is painted already: entering the alternate screen again would blank it."""

    _entered = False

    def write(self, data: str) -> None:
        if not self._entered and "\x1b[?1049h" in data:
            self._entered = True
            data = data.replace("\x1b[?1049h", "")
        if data:
            super().write(data)

    def stop_application_mode(self) -> None:
        """Give the terminal back first: the input thread takes up to a tenth of a second to notice the end."""
        if not self.exit_event.is_set():
            self.write("\x1b[?1049l\x1b[?25h")
            self.flush()
        super().stop_application_mode()

    def disable_input(self) -> None:
        """At the end of the program nobody waits for the input thread, which takes 0.2 s to notice."""
        if not self._app._exit:
            super().disable_input()
        elif not self.exit_event.is_set():
            self.exit_event.set()
            signal.signal(signal.SIGWINCH, signal.SIG_DFL)
            self._disable_mouse_support()
            with contextlib.suppress(termios.error):
                termios.tcflush(self.fileno, termios.TCIFLUSH)


def make_app(wanted: Wanted, **more: Any) -> ConsoleApp:
    return ConsoleApp(
        context=wanted.context,
        workspace=Path(wanted.workspace) if wanted.workspace else None,
        read_only=wanted.read_only,
        pane=wanted.pane,
        argument=wanted.argument,
        theme=wanted.theme,
        **more,
    )


def run(wanted: Wanted, remembered: str) -> int:
    """The app until it ends; its exit code."""
    app = make_app(wanted, driver_class=PaintedDriver)
    app.remembered = remembered
    app.end_signals = (signal.SIGTERM, signal.SIGHUP)
    code = app.run(mouse=os.environ.get("MLOPS_CONSOLE_MOUSE", "1") != "0")
    if app.session is not None and app.calm:
        app.session.backend.close()  # else a question is out that would be waited for, and loses nothing by ending
    return code or app.return_code or 0


def plain(wanted: Wanted) -> int:
    """Show the pane on a screen that nobody sees, and print what it says. Raises what kept it from being shown."""
    columns = os.get_terminal_size(1).columns if os.isatty(1) else 120
    app = make_app(wanted, plain=True)
    with contextlib.redirect_stdout(sys.stderr):
        app.run(headless=True, size=(max(100, columns), 60), mouse=False)
    if app.problem is not None:
        raise app.problem.error
    print(app.plain_text)
    return 0
