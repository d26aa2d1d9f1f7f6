"""Serving, sharing, scaling, shadowing, stopping. Each asks first, and says what callers will meet."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backends.contract import BackendError, Invalid, Refused
from backends.entities import Deployment, DeploymentWish, Model, ModelVersion, Target
from console.safe import safe_text
from console.serving.deployment import change
from console.tui.deployment_columns import summary
from console.tui.dialogs import Ask, Choose, Confirm, Field, Form, sentences
from console.tui.lines import Line
from console.wording import traffic

if TYPE_CHECKING:
    from backends.contract import Backend
    from console.config import Session
    from console.tui.here import Here

LOG_BYTES = 65_536


async def serve(here: Here) -> None:
    """A model or version anew, or what was stopped as it was."""
    session = session_of(here)
    selected = here.selected
    if here.pane == "deployments" and isinstance(selected, Deployment) and selected.desired is DeploymentWish.STOPPED:
        await _again(here, selected)
        return
    found = await _which(here, session.backend, selected)
    if found is None:
        return
    model, target = found
    fields = [
        Field("name", "name", here.argument or model, "of the deployment"),
        Field("target", "version", target.label, "an alias is followed: a promotion is served at once; v7 stays"),
        Field("port", "port", "0", "0 takes a free one"),
        Field("workers", "workers", "1", "processes that answer"),
        Field("sticky", "sticky by", "", "column whose value decides the version in a split; may stay empty"),
        Field("token", "token file", "", "of mode 0600, with the token that callers send; empty for none"),
    ]

    def check(values: dict[str, str]) -> str:
        try:
            _wanted(model, values)
        except (BackendError, ValueError) as error:
            return str(error)
        return "" if values["name"] else "a name is wanted"

    values = await here.app.ask(Form(f"Serve {safe_text(model, 40)}", fields, "go on", check=check))
    if values is None:
        return
    wanted = _wanted(model, values)
    where = f"port {wanted.port}" if wanted.port else "a free port"
    text = (
        f"{wanted.name} serves {model} {wanted.targets[0].label} on {wanted.host}, {where}, with {wanted.workers} "
        "worker(s). The agent keeps it running when this console is closed. x stops it."
    )
    yes = await here.app.ask(
        Confirm(
            f"Serve {safe_text(model, 40)}",
            sentences(text),
            "serve",
            word=wanted.name if here.production else "",
            reason=True,
        )
    )
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    made = await _do(here, lambda: change.start(session.backend, wanted, mutation))
    here.app.welcome = False
    here.app.tell(f"{made.name} is started; 6 shows when it serves")


async def _again(here: Here, held: Deployment) -> None:
    await confirmed(
        here,
        held,
        f"Serve {safe_text(held.name, 40)} again",
        f"{held.name} serves {held.model} {_split(held.targets)} again, as it did.",
        "serve",
        lambda mutation: change.restart(session_of(here).backend, held.name, mutation),
        "is started again",
    )


async def stop(here: Here) -> None:
    held = chosen(here)
    await confirmed(
        here,
        held,
        f"Stop {safe_text(held.name, 40)}",
        f"{summary(held)} answers what it has, then its server ends: callers are refused from there on. "
        "w serves it again as it was, D forgets it.",
        "stop",
        lambda mutation: change.stop(session_of(here).backend, held.name, mutation),
        "drains and stops",
    )


async def split(here: Here) -> None:
    """Shares by target, on one line."""
    held = chosen(here)
    backend = session_of(here).backend
    serving = [each for each in held.targets if not each.shadow]
    proposed = " ".join(f"{each.label}={each.share * 100:g}" for each in serving)
    if len(serving) == 1:
        other = await here.app.look_up(lambda: other_alias(backend, held))
        proposed = f"{serving[0].label}=90 {other}=10" if other else proposed

    def check(text: str) -> str:
        try:
            change.parse_targets(text.split())
        except BackendError as error:
            return str(error)
        return ""

    said = here.argument or await here.app.ask(
        Ask(f"Share the traffic of {safe_text(held.name, 30)}", "target=share", proposed, check=check)
    )
    if not said:
        return
    targets = change.parse_targets(said.split())
    guarded = (
        " One that fails more, answers slower or scores otherwise than the first is stopped by itself, and the journal "
        "says by which figures."
        if len(targets) > 1
        else ""
    )
    by = f" by {held.key}" if held.key else " by request"
    await confirmed(
        here,
        held,
        f"Split {safe_text(held.name, 40)}",
        f"{held.name}: {_split(held.targets)} → {_split(targets)}, decided{by}.{guarded}",
        "split",
        lambda mutation: change.split(backend, held.name, targets, mutation),
        "shares its traffic anew",
    )


async def scale(here: Here) -> None:
    held = chosen(here)

    def check(text: str) -> str:
        return "" if text.isascii() and text.isdigit() and 1 <= int(text) <= 64 else "1 to 64 workers are possible"

    said = here.argument or await here.app.ask(
        Ask(f"Workers of {safe_text(held.name, 40)}", "workers", str(held.workers + 1), check=check)
    )
    if not said:
        return
    if check(said):
        raise Invalid(f"{said}: {check(said)}", "workers")
    workers = int(said)
    await confirmed(
        here,
        held,
        f"Scale {safe_text(held.name, 40)}",
        f"{held.name}: {held.workers} → {workers} worker(s). No request is dropped; a worker more costs its memory.",
        "scale",
        lambda mutation: change.scale(session_of(here).backend, held.name, workers, mutation),
        f"has {workers} worker(s) soon",
    )


async def shadow(here: Here) -> None:
    held = chosen(here)
    backend = session_of(here).backend
    now = next((each.label for each in held.targets if each.shadow), "")
    proposed = "none" if now else (await here.app.look_up(lambda: other_alias(backend, held)) or "challenger")
    said = here.argument or await here.app.ask(
        Ask(f"Shadow of {safe_text(held.name, 40)}", "alias, vN, none", proposed)
    )
    if not said:
        return
    target = None if said == "none" else change.parse_target(said)
    text = (
        f"{held.name} asks {target.label} besides, after each answer: callers see nothing of it, its log does."
        if target is not None
        else f"{held.name} asks {now or 'no version'} besides no more."
    )
    await confirmed(
        here,
        held,
        f"Shadow of {safe_text(held.name, 40)}",
        text,
        "shadow",
        lambda mutation: change.shadow(backend, held.name, target, mutation),
        "changes its shadow",
    )


async def logs(here: Here) -> None:
    from console.safe import safe_lines
    from console.serving.deployment.server_log import read
    from console.tui.reading import ReadingScreen

    held = chosen(here)
    home = session_of(here).backend.home
    if home is None:
        raise Refused("this context has no folder on this machine, so no server of it runs here")
    chunk = await here.app.look_up(lambda: read(home, held.name, start=-LOG_BYTES))
    text = chunk.text or "its server has written nothing yet"
    lines = [Line([(row, "")]) for row in safe_lines(text.rstrip("\n"))]
    here.app.push_screen(ReadingScreen(f"Log of {safe_text(held.name, 40)}", lines))


# ---------------------------------------------------------------- what they share


async def confirmed(
    here: Here,
    held: Deployment,
    title: str,
    text: str,
    verb: str,
    deed: Callable[[Any], Any],
    done: str,
    *,
    for_good: bool = False,
) -> None:
    """Ask, do, say so. What is `for_good` wants the name typed everywhere, as all does in production."""
    word = held.name if here.production or for_good else ""
    yes = await here.app.ask(Confirm(title, sentences(text), verb, word=word, reason=True))
    if yes is None:
        return
    mutation = session_of(here).mutation(yes.reason, uuid.uuid4().hex)
    await _do(here, lambda: deed(mutation))
    here.app.tell(f"{held.name} {done}")


async def _do(here: Here, deed: Callable[[], Any]) -> Any:
    """Change the definition, with an agent there to follow it."""
    workspace = session_of(here).workspace

    def whole() -> Any:
        if workspace is not None:
            from console.agent import ensure_agent

            ensure_agent(workspace)
        return deed()

    return await here.app.carry_out(whole)


async def _which(here: Here, backend: Backend, chosen: object) -> tuple[str, Target] | None:
    """The model and target that a person means; asked for where nothing is selected."""
    match chosen:
        case ModelVersion():
            alias = "champion" if "champion" in chosen.aliases else next(iter(chosen.aliases), "")
            return chosen.model, Target(alias=alias) if alias else Target(version=chosen.version)
        case Model():
            return chosen.name, _target_of(chosen)
    models = await here.app.look_up(lambda: backend.need("registry").page(limit=200).items)
    usual = [each for each in models if each.kind == "model"]
    if not usual:
        raise Refused("there is no registered model to serve yet; register one from a finished run (r in Runs)")
    options = [(each.name, each.name, " ".join(f"{a} v{v}" for a, v in each.aliases.items())) for each in usual]
    picked = await here.app.ask(Choose("Serve which model", options))
    model = next((each for each in usual if each.name == picked), None)
    return None if model is None else (model.name, _target_of(model))


def _target_of(model: Model) -> Target:
    return Target(alias="champion") if "champion" in model.aliases or not model.latest else Target(version=model.latest)


def _wanted(model: str, values: dict[str, str]) -> Deployment:
    from console.serving.spec import read_token

    for name in ("port", "workers"):
        if not (values[name].isascii() and values[name].isdigit()):
            raise Invalid(f"{name}: a whole number is wanted, not {values[name]!r}", name)
    read_token(values["token"])
    return Deployment(
        name=values["name"],
        model=model,
        targets=(change.parse_target(values["target"]),),
        port=int(values["port"]),
        workers=int(values["workers"]),
        key=values["sticky"],
        token_file=values["token"],
    )


def other_alias(backend: Backend, held: Deployment) -> str:
    """An alias that it does not serve yet: the challenger, if there is one."""
    aliases = backend.need("registry").get(held.model).aliases
    served = {each.label for each in held.targets}
    return next((each for each in sorted(aliases, key=lambda name: name != "challenger") if each not in served), "")


def _split(targets: Any) -> str:
    return " · ".join(f"{safe_text(each.label, 24)} {traffic(each)}" for each in targets)


def chosen(here: Here) -> Deployment:
    assert isinstance(here.selected, Deployment)  # noqa: S101 or the action were not available
    return here.selected


def session_of(here: Here) -> Session:
    assert here.session is not None  # noqa: S101 these actions need a store, so there is a session
    return here.session
