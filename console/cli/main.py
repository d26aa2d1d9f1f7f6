"""`mlops-console [--context C] [--workspace DIR] [--read-only] [--json] NOUN VERB …`.

A noun's module is imported when the noun is used, and not before.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from console.cli.exit import Exit, report
from console.cli.verb import Invocation, Noun

COMPLETE = "_MLOPS_CONSOLE_COMPLETE"
"""Set by the shell when it asks for completions."""

NOUNS: dict[str, str] = {
    "demo": "A living workspace on real data (flights 2013), then the console.",
    "dataset": "Import, look at and compare versions of data.",
    "run": "Start, follow, compare and stop training runs.",
    "sweep": "Search parameters: many runs of one recipe, the best found.",
    "experiment": "Groups of runs.",
    "model": "Register, promote, roll back model versions.",
    "policy": "What a promotion asks for: gates, approvals, who may override.",
    "serve": "Answer requests with a model, here and now, until Ctrl-C.",
    "prompt": "Versions of prompts, and which of them callers get.",
    "lineage": "Where a dataset, run or model comes from, and what was made from it.",
    "deploy": "Serve models: start, split traffic, scale, watch, stop.",
    "monitor": "Compare what a model sees with what it was trained on.",
    "service": "How services do that a metrics store (Prometheus) measures, and what fires there.",
    "alert": "What monitors want a person to know.",
    "trigger": "What is done by itself: on an alert, a schedule, new data.",
    "journal": "Who changed what, when, and why.",
    "context": "Which workspace or server is worked on.",
    "agent": "The background process of a workspace.",
    "env": "Let notebooks and scripts of this shell log here, by MLflow's protocol.",
    "doctor": "Check this machine, terminal and workspace, and say what to do.",
    "clean": "Give back the disk space of what nothing names any more.",
    "backup": "Copy the workspace while it is in use, check a copy, go back to one.",
    "keys": "The cheat-sheet of the console's keys.",
    "completion": "Print shell completion for bash, zsh or fish.",
}
"""noun → one line. The module of the same name in this package has the command, under the same name."""


class Root(Noun):
    """The root command: knows its nouns by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in NOUNS:
            return None
        command = getattr(importlib.import_module(f"console.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Nouns"):
            formatter.write_dl(list(NOUNS.items()))


@click.command(
    "mlops-console",
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Without a noun it opens the console; `mlops-console runs` opens it on a pane. "
    "Exit: 0 done, 1 refused or failed, 2 wrong input, 3 unreachable, 4 unauthorized, 130 interrupted.",
)
@click.version_option(package_name="mlops-console", prog_name="mlops-console")
def root() -> None:
    """The terminal from which people run machine learning."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code is what it is to the shell."""
    args = list(sys.argv[1:] if argv is None else argv)
    if COMPLETE in os.environ:
        root.main(args, prog_name="mlops-console", complete_var=COMPLETE)
    invocation = Invocation()
    try:
        # Not click's own `main`: it has opinions on Ctrl-C, broken pipes and exit codes that are not ours.
        with root.make_context("mlops-console", args, obj=invocation) as ctx:
            answer = root.invoke(ctx)
        sys.stdout.flush()
    except click.exceptions.Exit as left:  # --help and --version
        return left.exit_code
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted. Python would complain once more while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except (Exception, KeyboardInterrupt) as error:
        return report(error, as_json=invocation.json or "--json" in args)
    finally:
        invocation.close()
    return int(answer) if isinstance(answer, int) else Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
