"""`mlops-console env`: the variables by which any MLflow client logs into the current context."""

from __future__ import annotations

import shlex

import click

from console.cli.output import narrate, print_json, print_lines
from console.cli.verb import Invocation, Verb

NAMES = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_WORKSPACE",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_RUN_ID",
)


@click.command("env", cls=Verb)
@click.option("--shell", type=click.Choice(["sh", "fish"]), default="sh", show_default=True, help="How to say it.")
@click.option("--experiment", default="", metavar="NAME", help="Log to this experiment.")
@click.option("--unset", is_flag=True, help="Take the variables away again.")
@click.pass_obj
def env(invocation: Invocation, shell: str, experiment: str, unset: bool) -> None:
    """Let notebooks and scripts of this shell log here: eval "$(mlops-console env)"

    Prints a token: let a shell evaluate it, and keep it out of files.
    """
    if unset:
        print_lines("\n".join(f"set -e {name}" if shell == "fish" else f"unset {name}" for name in NAMES))
        return
    found = _environment(invocation) | ({"MLFLOW_EXPERIMENT_NAME": experiment} if experiment else {})
    if invocation.json:
        print_json(found)
        return
    form = "set -gx {} {}" if shell == "fish" else "export {}={}"
    print_lines("\n".join(form.format(name, shlex.quote(value)) for name, value in found.items()))
    narrate(
        f"MLflow clients of this shell log to {found['MLFLOW_TRACKING_URI']}, context {invocation.session.context.name}"
    )


def _environment(invocation: Invocation) -> dict[str, str]:
    from backends.connect import server_of_runs
    from backends.contract import Refused, Unsupported

    session = invocation.session
    if session.backend.features.read_only:
        raise Refused(
            f"context {session.context.name} is read-only, so nothing can be logged to it; use another context"
        )
    if session.backend.tracking is None:
        raise Unsupported(f"context {session.context.name}: MLflow clients cannot log to it")
    if session.workspace is not None and server_of_runs(session.workspace) is None:
        from console.agent import ensure_protocol

        ensure_protocol(session.workspace)
    return session.backend.tracking("")
