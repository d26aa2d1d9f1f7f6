"""`mlops-console deploy split|canary|halt|shadow`: which version answers whom, and when a worse one is stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from console.cli.deploy import _answer, confirm_option, deploy, wait_option
from console.cli.verb import Invocation, reason_option


def guard_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """When a version that does worse than the first target loses its traffic."""
    for decorate in (
        click.option("--no-guard", is_flag=True, help="Leave a worse version to people."),
        click.option(
            "--guard-requests", type=click.IntRange(1), help="Answers of either version before it is judged (100)."
        ),
        click.option("--guard-alpha", type=float, help="Probability of stopping one that does alike (0.01)."),
        click.option("--guard-drift", type=float, help="Largest PSI between the scores (0.25); 0 turns it off."),
        click.option("--guard-slow", type=float, help="More answers beyond the first's p95 (0.10); 0 turns it off."),
        click.option("--guard-errors", type=float, help="More failed answers (0.01); 0 turns it off."),
    ):
        command = decorate(command)
    return command


def _guard(given: dict[str, Any]) -> Any:
    from backends.entities import Guard

    named = {name.removeprefix("guard_"): value for name, value in given.items() if value is not None}
    return Guard(**named) if named else None


@deploy.command("split")
@click.argument("name")
@click.argument("shares", metavar="TARGET=SHARE...", nargs=-1, required=True)
@guard_options
@wait_option
@confirm_option
@reason_option
@click.pass_obj
def split(
    invocation: Invocation,
    /,
    name: str,
    shares: tuple[str, ...],
    no_guard: bool,
    no_wait: bool,
    confirm: str | None,
    reason: str,
    key: str,
    **guard: Any,
) -> None:
    """Share the traffic, such as champion=90 challenger=10 (or v7=10). Who meets a version keeps meeting it. The first
    is what the others are held against: one with more errors, slower answers or drifting scores is stopped."""
    from console.serving.deployment import change

    targets = change.parse_targets(shares)
    found = invocation.need("deployments").get(name)
    invocation.confirm(found.name, confirm, deed=f"share the traffic of {found.name}: {' '.join(shares)}")
    changed = change.split(
        invocation.backend,
        name,
        targets,
        invocation.mutation(reason, key),
        guard=_guard(guard),
        guarded=not no_guard,
    )
    _answer(invocation, changed, wait=not no_wait)


@deploy.command("canary")
@click.argument("name")
@click.argument("share", metavar="SHARE")
@click.option("--target", default="challenger", show_default=True, metavar="ALIAS|VERSION", help="Who gets it.")
@guard_options
@wait_option
@confirm_option
@reason_option
@click.pass_obj
def canary(
    invocation: Invocation,
    /,
    name: str,
    share: str,
    target: str,
    no_guard: bool,
    no_wait: bool,
    confirm: str | None,
    reason: str,
    key: str,
    **guard: Any,
) -> None:
    """Give SHARE (10%) of the callers to the challenger; 0 takes it back. It is stopped by itself where it does
    worse."""
    from console.serving.deployment import change

    found = invocation.need("deployments").get(name)
    invocation.confirm(found.name, confirm, deed=f"give {share} of the traffic of {found.name} to {target}")
    changed = change.canary(
        invocation.backend,
        name,
        change.parse_share(share),
        invocation.mutation(reason, key),
        target=change.parse_target(target),
        guard=_guard(guard),
        guarded=not no_guard,
    )
    _answer(invocation, changed, wait=not no_wait)


@deploy.command("halt")
@click.argument("name")
@wait_option
@confirm_option
@reason_option
@click.pass_obj
def halt(invocation: Invocation, name: str, no_wait: bool, confirm: str | None, reason: str, key: str) -> None:
    """Take all traffic back to the first version, at once; shadows stay."""
    from console.serving.deployment import change

    found = invocation.need("deployments").get(name)
    invocation.confirm(found.name, confirm, deed=f"give all traffic of {found.name} to {found.targets[0].label}")
    changed = change.take_back(invocation.backend, name, invocation.mutation(reason, key))
    _answer(invocation, changed, wait=not no_wait)


@deploy.command("shadow")
@click.argument("name")
@click.argument("target", metavar="ALIAS|VERSION|none")
@wait_option
@confirm_option
@reason_option
@click.pass_obj
def shadow(
    invocation: Invocation,
    name: str,
    target: str,
    no_wait: bool,
    confirm: str | None,
    reason: str,
    key: str,
) -> None:
    """Ask another version besides; callers never see its answers, the prediction log does. `none` ends it."""
    from console.serving.deployment import change

    found = invocation.need("deployments").get(name)
    invocation.confirm(found.name, confirm, deed=f"shadow {found.name} with {target}")
    wanted = None if target == "none" else change.parse_target(target)
    changed = change.shadow(invocation.backend, name, wanted, invocation.mutation(reason, key))
    _answer(invocation, changed, wait=not no_wait)
