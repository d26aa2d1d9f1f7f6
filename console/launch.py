"""The entry point: decides between screen and command line, and paints before anything heavy is imported."""

from __future__ import annotations

import os
import sys

PANES = ("overview", "datasets", "runs", "models", "monitor", "deployments", "journal")
"""Words that open the screen on a pane when they stand alone; `runs`, `models` and `datasets` also with a filter."""

ONLY_PANES = ("overview", "datasets", "runs", "models")
"""Words that are no noun of the command line."""

USAGE = 2
HUNG_UP = 129


class Wanted:
    """What the arguments ask the screen for."""

    def __init__(self) -> None:
        self.context: str | None = None
        self.workspace: str | None = None
        self.read_only = False
        self.theme = ""
        self.plain = False
        self.pane = "overview"
        self.argument = ""


def main(argv: list[str] | None = None) -> int:
    """Run mlops-console and return its exit code."""
    args = sys.argv[1:] if argv is None else list(argv)
    wanted = None if "_MLOPS_CONSOLE_COMPLETE" in os.environ else read_arguments(args)
    if wanted is None:
        from console.cli.main import main as command_line

        return command_line(args)
    if wanted.plain:
        return print_plain(wanted)
    refusal = no_screen()
    if refusal:
        print(refusal, file=sys.stderr)
        return USAGE
    return open_screen(wanted)


def read_arguments(args: list[str]) -> Wanted | None:
    """What is wanted of the screen, or None when the command line is meant."""
    wanted = Wanted()
    words: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        name, _, value = word.partition("=")
        if name in ("--context", "--workspace", "--theme"):
            if "=" not in word:
                if not rest:
                    return None
                value = rest.pop(0)
            setattr(wanted, name[2:], value)
        elif word == "--read-only":
            wanted.read_only = True
        elif word == "--plain":
            wanted.plain = True
        elif word.startswith("-"):
            return None
        else:
            words.append(word)
            if word not in PANES:
                return None
            words += rest
            break
    if not words:
        return wanted
    if words[-1] == "--plain" and len(words) > 1:
        wanted.plain = True
        words.pop()
    if len(words) > 1 and words[0] not in ONLY_PANES:
        return None
    wanted.pane, wanted.argument = words[0], " ".join(words[1:])
    return wanted


def no_screen() -> str:
    """Why there can be no screen, with what to do instead; empty when there can."""
    if os.environ.get("TERM", "") in ("", "dumb"):
        why = "this terminal cannot show a screen (TERM=" + (os.environ.get("TERM") or "unset") + ")"
    elif not (os.isatty(0) and os.isatty(1) and os.isatty(2)):
        why = "input and output are not a terminal"
    else:
        return ""
    return f"mlops-console: {why}; use the commands, for example `mlops-console run list`, or `mlops-console --plain`"


def open_screen(wanted: Wanted) -> int:
    """Paint, then import, then run."""
    import gc

    from console.tui import skeleton

    gc.disable()  # a collection in the middle of the imports costs more than it frees; the app turns it on again
    before = skeleton.quiet_terminal()
    try:
        columns, rows = os.get_terminal_size(1)
        remembered = skeleton.place(wanted.context or "", wanted.workspace or "", wanted.pane, columns, rows)
        skeleton.paint(1, remembered, columns, rows, wanted.pane)
        try:
            from console.tui.lean import load_textual

            load_textual()
            from console.tui.start import run

            code = run(wanted, remembered)
        except BaseException:
            os.write(1, b"\x1b[?1049l\x1b[?25h\x1b[?7h\x1b[0m")
            raise
    finally:
        skeleton.restore_terminal(before)
    # What was changed is committed and the terminal is given back. Taking the interpreter apart, and waiting for
    # threads that wait for a key or for an answer, would only keep the person.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def print_plain(wanted: Wanted) -> int:
    """A pane as text on standard output, for screen readers and pipes."""
    from console.tui.start import plain

    try:
        code = plain(wanted)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted. Python would complain once more while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from console.cli.exit import report

        return report(error, as_json=False)


if __name__ == "__main__":
    sys.exit(main())
