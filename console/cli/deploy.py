"""`mlops-console deploy …`: serve models, share their traffic, watch them do it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.cli.output import narrate, print_json_line, print_lines
from console.cli.verb import Invocation, Noun, interruptible, listing, parsed_query, reason_option

if TYPE_CHECKING:
    from backends.contract import Backend
    from backends.entities import Deployment
    from console.serving.deployment.figures import Looks, View

WAIT_S = 330.0
"""A server that has not started after so long is waited for no more: it may go on."""

confirm_option = click.option(
    "--confirm", metavar="NAME", help="The deployment's name again, where the context is production."
)
engine_option = click.option(
    "--engine",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "onnx", "sklearn"]),
    help="What computes: onnx wants versions that `model export --onnx` converted; auto takes it where there is one.",
)
wait_option = click.option("--no-wait", is_flag=True, help="Do not wait until the server has it.")


@click.group("deploy", cls=Noun)
def deploy() -> None:
    """Serve models: start, split traffic, scale, watch, stop. The agent keeps what is wanted running."""


@deploy.command("start")
@click.argument("ref", metavar="MODEL@ALIAS")
@click.option("--name", default="", metavar="NAME", help="Of the deployment; the model's name without it.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; others than this machine need a token.")
@click.option("--port", default=0, type=click.IntRange(0, 65_535), help="0 (the default) takes one that is free.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that answer.")
@engine_option
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of mode 0600 with the token that callers send.",
)
@click.option("--sticky", default="", metavar="COLUMN", help="Whose value decides the version in a split.")
@click.option("--sample", default="100%", show_default=True, metavar="SHARE", help="Of the predictions that are kept.")
@click.option("--redact", multiple=True, metavar="COLUMN", help="Not kept with predictions; may be repeated.")
@click.option("--no-log", is_flag=True, help="Keep no predictions.")
@click.option("--note", default="", help="A note.")
@wait_option
@confirm_option
@reason_option
@click.pass_obj
def start(
    invocation: Invocation,
    ref: str,
    name: str,
    host: str,
    port: int,
    workers: int,
    engine: str,
    token_file: Path | None,
    sticky: str,
    sample: str,
    redact: tuple[str, ...],
    no_log: bool,
    note: str,
    no_wait: bool,
    confirm: str | None,
    reason: str,
    key: str,
) -> None:
    """Serve MODEL@ALIAS (or MODEL@VERSION): the alias is followed, a promotion is served within half a second."""
    from backends.contract import Invalid
    from backends.entities import Deployment
    from console.serving.deployment import change
    from console.serving.spec import LOOPBACK, read_token

    model, target = change.parse_model(ref)
    token = str(token_file.absolute()) if token_file is not None else ""
    read_token(token)  # a wrong file is told now, not by a server that does not start
    if host not in LOOPBACK and not token:
        raise Invalid(f"host {host} is open to others than this machine: name a --token-file, or leave --host", "host")
    wanted = Deployment(
        name=name or model,
        model=model,
        targets=(target,),
        key=sticky,
        workers=workers,
        engine=engine,
        host=host,
        port=port,
        token_file=token,
        log=not no_log,
        sample=change.parse_share(sample),
        redact=redact,
        note=note,
    )
    change.check_engine(invocation.backend, wanted)
    invocation.confirm(wanted.name, confirm, deed=f"serve {model} {target.label}")
    made = change.start(invocation.backend, wanted, invocation.mutation(reason, key))
    _answer(invocation, made, wait=not no_wait)


@deploy.command("list")
@listing
@click.pass_obj
def list_(invocation: Invocation, query: tuple[str, ...], where: str, sort: str, limit: int, at: str) -> None:
    """Deployments. QUERY: state = serving and model = churn"""
    from backends.contract import Page
    from backends.query import DEPLOYMENT_FIELDS
    from console.cli.deploy_text import VIEW_COLUMNS
    from console.serving.deployment.figures import Looks, views

    page = invocation.need("deployments").page(parsed_query(query, where, sort, DEPLOYMENT_FIELDS), at=at, limit=limit)
    found = views(invocation.backend, page.items, Looks())
    invocation.show_page(
        Page(items=found, next=page.next),
        VIEW_COLUMNS,
        empty="no deployment yet; mlops-console deploy start MODEL@champion makes one",
    )


@deploy.command("show")
@click.argument("name")
@click.option("--watch", is_flag=True, help="Say it again every two seconds.")
@click.pass_obj
def show(invocation: Invocation, name: str, watch: bool) -> None:
    """A deployment: what it serves against what the aliases say, and how each version does."""
    from console.cli.deploy_text import print_view, watch_line
    from console.serving.deployment.figures import Looks

    looks = Looks()
    if not watch:
        found = _view(invocation.backend, name, looks)
        if found.whole is not None:  # a rate is between two looks
            time.sleep(0.5)
            found = _view(invocation.backend, name, looks)
        invocation.show(found, lambda: print_view(found))
        return
    with interruptible():
        while True:
            found = _view(invocation.backend, name, looks)
            if invocation.json:
                print_json_line(found)
            else:
                print_lines(watch_line(found))
            time.sleep(2.0)


@deploy.command("stop")
@click.argument("name")
@wait_option
@confirm_option
@reason_option
@click.pass_obj
def stop(invocation: Invocation, name: str, no_wait: bool, confirm: str | None, reason: str, key: str) -> None:
    """Let the server answer what it has, then end it. `restart` serves again, as before."""
    from console.serving.deployment import change

    found = invocation.need("deployments").get(name)
    invocation.confirm(found.name, confirm, deed=f"stop deployment {found.name}")
    _answer(invocation, change.stop(invocation.backend, name, invocation.mutation(reason, key)), wait=not no_wait)


@deploy.command("restart")
@click.argument("name")
@wait_option
@confirm_option
@reason_option
@click.pass_obj
def restart(invocation: Invocation, name: str, no_wait: bool, confirm: str | None, reason: str, key: str) -> None:
    """Serve again, as it was: what was stopped, or what serves, once it has answered what it has."""
    from console.agent import ensure_agent
    from console.serving.deployment import change

    found = invocation.need("deployments").get(name)
    invocation.confirm(found.name, confirm, deed=f"serve {found.model} again")
    ensure_agent(invocation.home())  # who else would end it
    _answer(invocation, change.restart(invocation.backend, name, invocation.mutation(reason, key)), wait=not no_wait)


@deploy.command("scale")
@click.argument("name")
@click.argument("workers", type=click.IntRange(1, 64))
@wait_option
@confirm_option
@reason_option
@click.pass_obj
def scale(
    invocation: Invocation, name: str, workers: int, no_wait: bool, confirm: str | None, reason: str, key: str
) -> None:
    """So many worker processes; no request is dropped on the way."""
    from console.serving.deployment import change

    found = invocation.need("deployments").get(name)
    invocation.confirm(found.name, confirm, deed=f"scale {found.name} to {workers}")
    changed = change.scale(invocation.backend, name, workers, invocation.mutation(reason, key))
    _answer(invocation, changed, wait=not no_wait)


@deploy.command("delete")
@click.argument("name")
@click.option("--confirm", metavar="NAME", help="The name again: deleting cannot be undone.")
@reason_option
@click.pass_obj
def delete(invocation: Invocation, name: str, confirm: str | None, reason: str, key: str) -> None:
    """Forget a stopped deployment. Its kept predictions stay in the workspace."""
    store = invocation.need("deployments")
    found = store.get(name)
    invocation.confirm(found.name, confirm, deed=f"delete deployment {found.name}", production_only=False)
    store.delete(name, invocation.mutation(reason, key))
    invocation.show({"deleted": found.name}, lambda: narrate(f"{found.name}: deleted"))


@deploy.command("note")
@click.argument("name")
@click.argument("text")
@reason_option
@click.pass_obj
def note(invocation: Invocation, name: str, text: str, reason: str, key: str) -> None:
    """Write a note on a deployment; its server goes on as it is."""
    from console.serving.deployment import change

    after = change.note(invocation.backend, name, text, invocation.mutation(reason, key))
    invocation.show(after, lambda: narrate(f"{after.name}: {after.note}"))


@deploy.command("logs")
@click.argument("name")
@click.option("--follow", "-f", is_flag=True, help="Go on as it grows.")
@click.option(
    "--tail", default=65_536, show_default=True, metavar="BYTES", type=click.IntRange(1), help="From the end."
)
@click.pass_obj
def logs(invocation: Invocation, name: str, follow: bool, tail: int) -> None:
    """What the deployment's server wrote."""
    from console.serving.deployment.server_log import read

    found = invocation.need("deployments").get(name)
    home = invocation.home()
    chunk = read(home, found.name, start=-tail)
    if invocation.json and not follow:
        invocation.show({"deployment": found.name, "text": chunk.text, "size": chunk.size}, lambda: None)
        return
    if not chunk.size:
        narrate(f"{found.name}: its server has written nothing yet")
    with interruptible():
        while True:
            if chunk.text:
                if invocation.json:
                    print_json_line(chunk)
                else:
                    print_lines(chunk.text.removesuffix("\n"))
            if not follow:
                return
            time.sleep(0.25)
            chunk = read(home, found.name, start=chunk.end)


def _view(backend: Backend, name: str, looks: Looks) -> View:
    from console.serving.deployment.figures import views

    (found,) = views(backend, [backend.need("deployments").get(name)], looks)
    return found


def _answer(invocation: Invocation, changed: Deployment, *, wait: bool) -> None:
    """What became of it; exit 1 where the server would not have it."""
    from backends.contract import Refused, Unreachable
    from backends.entities import DeploymentState
    from console.agent import ensure_agent
    from console.cli.deploy_text import split_text
    from console.serving.deployment.figures import wait_until_served

    ensure_agent(invocation.home())
    found = changed
    if wait:
        found = wait_until_served(invocation.backend, changed.name, changed.revision, seconds=WAIT_S)
        status = found.status
        if status.state is DeploymentState.CRASH_LOOP:
            raise Refused(f"deployment {found.name}: {status.reason}. mlops-console deploy logs {found.name} says more")
        if status.revision < changed.revision and status.reason:
            raise Refused(f"deployment {found.name}: {status.reason}. What it served goes on.")
        if status.revision < changed.revision:
            raise Unreachable(
                f"deployment {found.name} is {status.state} and has not taken the change within {WAIT_S:.0f} s; it may "
                f"still do: mlops-console deploy show {found.name}"
            )
    where = f" at {found.status.url}" if found.status.url else ""
    invocation.show(found, lambda: narrate(f"{found.name}: {found.status.state}{where}, {split_text(found)}"))


# The noun's further verbs, which are written on it.
from console.cli import deploy_context as _context  # noqa: E402, F401
from console.cli import deploy_predictions as _predictions  # noqa: E402, F401
from console.cli import deploy_split as _split  # noqa: E402, F401
