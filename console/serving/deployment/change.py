"""What people do to deployments: each verb reads, changes and writes back by compare-and-set.

The agent does the rest.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from backends.contract import Backend, Conflict, Invalid, Mutation, NotFound, Refused
from backends.entities import Deployment, DeploymentState, DeploymentWish, Guard, Target
from console.wording import traffic

_AGAIN = 5
"""So often a change is tried anew on what somebody else has just changed in another respect."""


def parse_model(ref: str) -> tuple[str, Target]:
    """`churn@champion`, `churn@7` or `churn` (its champion) as model and target."""
    model, at, which = ref.rpartition("@")
    if not at:
        return ref, Target(alias="champion")
    if not model or not which:
        raise Invalid(f"{ref!r}: wanted MODEL, MODEL@ALIAS or MODEL@VERSION", "model")
    return model, parse_target(which)


def parse_target(text: str) -> Target:
    """`champion` or `@champion` is an alias, `7` or `v7` a version."""
    word = text.strip()
    number = word.removeprefix("v")
    if number.isascii() and number.isdigit():
        return Target(version=number)
    alias = word.removeprefix("@")
    if not alias:
        raise Invalid("a target is an alias or a version, and this is empty", "targets")
    return Target(alias=alias)


def parse_share(text: str) -> float:
    """`10%`, `10` and `0.1` are a tenth. `1` is one percent, `1.0` all."""
    word = text.strip()
    try:
        if word.endswith("%"):
            share = float(word[:-1]) / 100
        else:
            share = float(word) if "." in word and float(word) <= 1 else float(word) / 100
    except ValueError:
        raise Invalid(f"{text!r} is no share: wanted 10% or 0.1", "share") from None
    if not 0 <= share <= 1:
        raise Invalid(f"a share is 0% to 100%, and {text} is not", "share")
    return share


def parse_split(text: str) -> Target:
    """`champion=90`, `v7=10%`."""
    which, equals, share = text.partition("=")
    if not equals:
        raise Invalid(f"{text!r}: wanted TARGET=SHARE, such as champion=90", "targets")
    return msgspec.structs.replace(parse_target(which), share=parse_share(share))


def parse_targets(words: Sequence[str]) -> list[Target]:
    """Each as `parse_split` reads it; together they take all the traffic."""
    targets = [parse_split(word) for word in words]
    total = sum(each.share for each in targets)
    if abs(total - 1) > 1e-6:
        raise Invalid(f"the shares make {total * 100:g} %, and 100 % is wanted", "targets")
    return targets


def start(backend: Backend, wanted: Deployment, mutation: Mutation) -> Deployment:
    """Serve it: a new deployment, or one of this name that was stopped, with this definition.

    Raises NotFound where a target names nothing, Conflict where one of this name serves already.
    """
    store = backend.need("deployments")
    check_targets(backend, wanted)
    try:
        held: Deployment = store.get(wanted.name)
    except NotFound:
        made: Deployment = store.create(wanted, mutation)
        return made
    if held.desired is DeploymentWish.SERVING:
        raise Conflict(
            f"deployment {held.name} serves {held.model} already ({_said(held.targets)}); nothing was changed. "
            "Change it (split, scale, shadow), stop it, or take another name with --name."
        )
    again = msgspec.structs.replace(
        wanted, revision=held.revision, desired=DeploymentWish.SERVING, halted="", note=wanted.note or held.note
    )
    done: Deployment = store.change(again, mutation.named("deploy.start"))
    return done


def restart(backend: Backend, name: str, mutation: Mutation, *, seconds: float = 60.0) -> Deployment:
    """Serve again, as it was: what was stopped at once, what serves after it has answered what it has.

    Conflict where its server has not ended within `seconds`: it is stopped then, and may be started later.
    """
    store = backend.need("deployments")
    if store.get(name).desired is DeploymentWish.SERVING:
        key = f"{mutation.key}/stop" if mutation.key else ""
        stopped = stop(backend, name, msgspec.structs.replace(mutation, key=key))
        if stopped.desired is DeploymentWish.SERVING:  # under this key it was done before
            return stopped
        until = time.monotonic() + seconds
        while store.get(name).status.state is not DeploymentState.STOPPED:
            if time.monotonic() > until:
                raise Conflict(
                    f"deployment {name} still answers what it had after {seconds:.0f} s; it is stopped, and not "
                    f"started again. Start it once it has ended: mlops-console deploy restart {name}"
                )
            time.sleep(0.1)
    return _change(
        backend,
        name,
        lambda held: msgspec.structs.replace(held, desired=DeploymentWish.SERVING),
        mutation.named("deploy.start"),
    )


def stop(backend: Backend, name: str, mutation: Mutation) -> Deployment:
    """Let the server answer what it has, and end. Stopping what is stopped does nothing."""
    return _change(
        backend,
        name,
        lambda held: msgspec.structs.replace(held, desired=DeploymentWish.STOPPED),
        mutation.named("deploy.stop"),
    )


def split(
    backend: Backend,
    name: str,
    targets: Sequence[Target],
    mutation: Mutation,
    *,
    guard: Guard | None = None,
    guarded: bool = True,
) -> Deployment:
    """Share the traffic among these; shadows stay. The first is what the others are held against.

    Where several share it and `guarded`, the guard stands: this one, the one it had, or the usual one.
    """
    shares = tuple(msgspec.structs.replace(each, shadow=False) for each in targets)

    def shared(held: Deployment) -> Deployment:
        labels = {each.label for each in shares}
        shadows = tuple(each for each in held.targets if each.shadow and each.label not in labels)
        stands = (guard or held.guard or Guard()) if guarded and len(shares) > 1 else None
        return msgspec.structs.replace(held, targets=shares + shadows, guard=stands, halted="")

    return _change(backend, name, shared, mutation.named("deploy.split"))


def canary(
    backend: Backend,
    name: str,
    share: float,
    mutation: Mutation,
    *,
    target: Target | None = None,
    guard: Guard | None = None,
    guarded: bool = True,
) -> Deployment:
    """Give this share to the target (challenger), the rest to the one that stands first; 0 takes it away."""
    wanted = target or Target(alias="challenger")
    held: Deployment = backend.need("deployments").get(name)
    first = held.targets[0]
    if wanted.label == first.label:
        raise Refused(f"{first.label} is what deployment {name} serves first; a canary is another version.")
    targets = [msgspec.structs.replace(first, share=1 - share)]
    if share:
        targets.append(msgspec.structs.replace(wanted, share=share))
    return split(backend, name, targets, mutation.named("deploy.canary"), guard=guard, guarded=guarded)


def take_back(backend: Backend, name: str, mutation: Mutation) -> Deployment:
    """All traffic to the first target at once; shadows stay. Refused where nothing shares it."""

    def alone(held: Deployment) -> Deployment:
        first, *rest = held.targets
        if all(each.shadow for each in rest):
            raise Refused(f"{first.label} has all the traffic of deployment {name} already; there is nothing to halt.")
        shadows = tuple(each for each in rest if each.shadow)
        return msgspec.structs.replace(
            held, targets=(msgspec.structs.replace(first, share=1.0), *shadows), guard=None, halted=""
        )

    return _change(backend, name, alone, mutation.named("deploy.halt"))


def note(backend: Backend, name: str, text: str, mutation: Mutation) -> Deployment:
    """Write a note on it; its server notices nothing."""
    return _change(backend, name, lambda held: msgspec.structs.replace(held, note=text), mutation.named("deploy.note"))


def shadow(backend: Backend, name: str, target: Target | None, mutation: Mutation) -> Deployment:
    """Ask this target besides, unseen by callers; None ends it."""

    def shadowed(held: Deployment) -> Deployment:
        serving = tuple(each for each in held.targets if not each.shadow)
        if target is None:
            return msgspec.structs.replace(held, targets=serving)
        if any(each.label == target.label for each in serving):
            raise Refused(f"{target.label} answers requests of deployment {name} already; a shadow is another version.")
        return msgspec.structs.replace(held, targets=(*serving, msgspec.structs.replace(target, shadow=True)))

    return _change(backend, name, shadowed, mutation.named("deploy.shadow"))


def scale(backend: Backend, name: str, workers: int, mutation: Mutation) -> Deployment:
    """So many worker processes."""
    return _change(
        backend, name, lambda held: msgspec.structs.replace(held, workers=workers), mutation.named("deploy.scale")
    )


def halt(backend: Backend, seen: Deployment, other: str, why: str, mutation: Mutation) -> Deployment:
    """Take the traffic away from the target that does worse; what it had goes to the first. Conflict where people
    changed the deployment meanwhile."""
    first, *rest = seen.targets
    gone = next(each for each in rest if each.label == other)
    kept = [each for each in rest if each.label != other]
    given = msgspec.structs.replace(first, share=min(1.0, first.share + gone.share))
    halted: Deployment = backend.need("deployments").change(
        msgspec.structs.replace(
            seen, targets=(given, *kept), halted=why, guard=seen.guard if any(not k.shadow for k in kept) else None
        ),
        mutation,
    )
    return halted


def check_targets(backend: Backend, wanted: Deployment) -> None:
    """NotFound, by its name, where a target is not in the registry."""
    registry = backend.need("registry")
    for target in wanted.targets:
        registry.version(wanted.model, f"@{target.alias}" if target.alias else target.version)


def check_engine(backend: Backend, wanted: Deployment) -> None:
    """Refused, before anything is started, where onnx is wanted and a target's version has no ONNX form."""
    from console.serving.engine import with_onnx
    from console.serving.fetched import fetch_version

    if wanted.engine != "onnx":
        return
    registry = backend.need("registry")
    for target in wanted.targets:
        version = registry.version(wanted.model, f"@{target.alias}" if target.alias else target.version).version
        with_onnx(backend, fetch_version(backend, wanted.model, version), wanted.engine)


def following(backend: Backend, model: str, alias: str) -> tuple[Deployment, ...]:
    """Deployments that swap when this alias moves."""
    if backend.deployments is None:
        return ()
    return tuple(
        each
        for each in backend.deployments.page(limit=1000).items
        if each.model == model
        and each.desired is DeploymentWish.SERVING
        and any(target.alias == alias for target in each.targets)
    )


def _change(backend: Backend, name: str, change: object, mutation: Mutation) -> Deployment:
    store = backend.need("deployments")
    for attempt in range(_AGAIN):
        held: Deployment = store.get(name)
        wanted: Deployment = change(held)  # type: ignore[operator]
        if wanted.targets != held.targets:
            check_targets(backend, wanted)
        try:
            done: Deployment = store.change(wanted, mutation)
        except Conflict:
            if attempt == _AGAIN - 1:
                raise
        else:
            return done
    raise AssertionError("unreachable")


def _said(targets: Sequence[Target]) -> str:
    return " ".join(f"{each.label} {traffic(each)}" for each in targets)
