"""A share of the callers for another version, and all of them back to the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.contract import BackendError, Invalid
from console.safe import safe_text
from console.serving.deployment import change
from console.tui.dialogs import Ask
from console.tui.verbs.deployments import chosen, confirmed, other_alias, session_of
from console.wording import traffic

if TYPE_CHECKING:
    from console.tui.here import Here


async def canary(here: Here) -> None:
    """`challenger 10%`, or the share alone where an alias is there to take it."""
    held = chosen(here)
    backend = session_of(here).backend
    sharing = [each.label for each in held.targets[1:] if not each.shadow]
    usual = sharing[0] if sharing else (await here.app.look_up(lambda: other_alias(backend, held)) or "challenger")

    def read(text: str) -> tuple[str, float]:
        *which, share = text.split()
        return " ".join(which) or usual, change.parse_share(share)

    def check(text: str) -> str:
        try:
            which, _ = read(text)
            change.parse_target(which)
        except BackendError as error:
            return str(error)
        return ""

    said = here.argument or await here.app.ask(
        Ask(f"Canary on {safe_text(held.name, 40)}", "alias|vN share", f"{usual} 10%", check=check)
    )
    if not said:
        return
    if check(said):
        raise Invalid(check(said), "share")
    which, share = read(said)
    target = change.parse_target(which)
    first = held.targets[0]
    text = (
        f"{held.name} gives {target.label} {share * 100:g} % of its callers, always the same ones; {first.label} keeps "
        "the rest. Where it fails more, answers slower or scores otherwise it is stopped by itself, and the journal "
        "says by which figures. H takes all of it back."
        if share
        else f"{held.name} takes the traffic of {target.label} back to {first.label}."
    )
    await confirmed(
        here,
        held,
        f"Canary on {safe_text(held.name, 40)}",
        text,
        "share" if share else "take back",
        lambda mutation: change.canary(backend, held.name, share, mutation, target=target),
        f"gives {target.label} {share * 100:g} %",
    )


async def halt(here: Here) -> None:
    held = chosen(here)
    first, *rest = held.targets
    gone = " and ".join(f"{each.label} ({traffic(each)})" for each in rest if not each.shadow)
    await confirmed(
        here,
        held,
        f"Halt the split of {safe_text(held.name, 40)}",
        f"{first.label} answers all callers of {held.name} again, at once; {gone} answers nobody. Nothing is dropped.",
        "halt",
        lambda mutation: change.take_back(session_of(here).backend, held.name, mutation),
        f"is answered by {first.label} alone",
    )
