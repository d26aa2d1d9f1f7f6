"""Give disk space back: the preview of what would go, and its going."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import msgspec

from backends.contract import Invalid
from backends.entities import Progress
from backends.entities.holdings import Going, Part
from console.retention.policy import Limits, RetentionPolicy
from console.safe import safe_text
from console.tui.clean_screen import CleanScreen, Wish, key_of
from console.tui.dialogs import Confirm, Field, Form, sentences
from console.wording import plural, size

if TYPE_CHECKING:
    from console.retention.rule import Plan
    from console.tui.here import Here


async def clean(here: Here) -> None:
    """By `:clean 90d 20GB`, by the context's policy, or by what a form asks."""
    from console.retention.apply import preview

    assert here.session is not None  # noqa: S101 the action needs a store, so there is a session
    policy = _from_words(here.argument) if here.argument else here.session.context.retention
    if policy is None:
        policy = await _ask(here, RetentionPolicy())
        if policy is None:
            return
    left_out: dict[str, Going] = {}
    at = ""
    while True:
        limits: Limits = policy.limits()
        kept = tuple(left_out)
        found = await here.app.look_up(lambda: preview(here.backend, limits, left_out=kept))  # noqa: B023
        wish: Wish | None = await here.app.push_screen_wait(
            CleanScreen(found, policy.words() or "what nothing names", tuple(left_out.values()), at)  # type: ignore[arg-type]
        )
        if wish is None:
            return
        at = key_of(wish.going) if wish.going is not None else ""
        if wish.do == "rule":
            policy = await _ask(here, policy) or policy
        elif wish.do == "leave" and wish.going is not None:
            if left_out.pop(at, None) is None:
                left_out[at] = wish.going
        elif wish.do == "restore" and wish.going is not None:
            await _restore(here, wish.going)
        elif wish.do == "remove" and await _remove(here, found, policy):
            return


def _from_words(text: str) -> RetentionPolicy:
    """`90d 20GB`: an age, a size, or both."""
    policy = RetentionPolicy()
    for word in text.split():
        if word[-1:] in "hdw":
            policy = msgspec.structs.replace(policy, keep_deleted=word, keep_artifacts=word, keep_logs=word)
        else:
            policy = msgspec.structs.replace(policy, max_size=word)
    policy.limits()
    return policy


async def _ask(here: Here, policy: RetentionPolicy) -> RetentionPolicy | None:
    fields = [
        Field("keep_deleted", "deleted runs", policy.keep_deleted, "go for good after: 30 d, 2 w; empty: stay"),
        Field("keep_artifacts", "artifacts", policy.keep_artifacts, "of runs that ended longer ago go; empty: stay"),
        Field("keep_logs", "logs", policy.keep_logs, "of runs that ended longer ago go; empty: stay"),
        Field("max_size", "size at most", policy.max_size, "files of the oldest runs go until it fits: 50 GB"),
        Field("keep", "stays besides", policy.keep, "tagged, best 3 by auc"),
    ]

    def check(values: dict[str, str]) -> str:
        try:
            msgspec.structs.replace(policy, **values).limits()
        except Invalid as error:
            return str(error)
        return ""

    about = sentences("Nothing goes yet: a list shows what would. All empty: only files that nothing names.")
    values = await here.app.ask(Form("Clean up", fields, "show", lines=about, check=check))
    return None if values is None else msgspec.structs.replace(policy, **values)


async def _restore(here: Here, going: Going) -> None:
    if here.read_only:
        here.app.tell("this console is read-only; nothing was restored", severity="warning")
        return
    yes = await here.app.ask(
        Confirm(f"Restore {safe_text(going.name, 40)}", sentences("It is in the list of runs again then."), "restore")
    )
    if yes is None:
        return
    assert here.session is not None  # noqa: S101
    mutation = here.session.mutation(yes.reason, uuid.uuid4().hex)
    await here.app.carry_out(lambda: here.backend.need("runs").restore(going.target, mutation))
    here.app.tell(f"{safe_text(going.name, 60)}: restored")


async def _remove(here: Here, found: Plan, policy: RetentionPolicy) -> bool:
    """Whether it was done."""
    from console.retention.apply import carry_out

    assert here.session is not None  # noqa: S101
    if here.read_only:
        here.app.tell("this console is read-only; nothing was removed", severity="warning")
        return False
    if not found.going:
        here.app.tell("nothing is left over")
        return False
    final = any(each.part is not Part.LEFTOVER for each in found.going)
    name = here.session.context.name
    lines = sentences(
        "This cannot be undone: what goes is not kept anywhere. The journal says what went, by whom and why."
        if final
        else "Nothing names these files, and nobody finished them."
    )
    title = f"Remove {plural(len(found.going), 'thing')}: {size(found.bytes)}"
    yes = await here.app.ask(Confirm(title, lines, "remove", word=name if final else "", reason=True))
    if yes is None:
        return False
    mutation = here.session.mutation(yes.reason or f"clean up: {policy.words() or 'leftovers'}", uuid.uuid4().hex)
    say = here.app.report("removing")
    many = len(found.going)

    def told(done: int) -> None:
        say(Progress(at=time.time_ns() // 1_000_000, fraction=done / many, stage=f"{done} of {many}"))

    try:
        freed = await here.app.carry_out(lambda: carry_out(here.backend, found, mutation, told=told))
    finally:
        here.app.say_work(())
    stayed = f"; {plural(len(freed.left), 'thing')} stayed: {freed.left[0]}" if freed.left else ""
    here.app.tell(f"{plural(freed.files, 'file')} removed, {size(freed.bytes)} given back{stayed}")
    return True
