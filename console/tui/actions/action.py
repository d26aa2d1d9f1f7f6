"""What an action is: declared once, and everything that shows or does it is made from that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from backends.contract import Backend


class Tier(StrEnum):
    """How much an action can hurt."""

    NONE = "none"
    """Changes nothing outside this screen."""
    REVERSIBLE = "reversible"
    """Asks for one `y`."""
    PRODUCTION = "production"
    """Asks for one `y`; in a production context for the name."""


class Situation(Protocol):
    """What an action is judged by."""

    @property
    def pane(self) -> str: ...

    @property
    def selected(self) -> object: ...

    @property
    def marked(self) -> tuple[object, ...]: ...

    @property
    def backend(self) -> Backend | None: ...

    @property
    def read_only(self) -> bool: ...


_LACKING = {
    "metrics": "this context names no metrics store; a table [contexts.NAME.metrics] does, with url and services"
}
"""What is no matter of the backend but of the context."""

OWN, COMMON, ALWAYS = 18, 20, 90

Reason = Callable[[Situation], str]
"""Why the action cannot be done now, as a sentence; empty when it can."""


@dataclass(frozen=True)
class Action:
    id: str
    """Stable: keymap files name it."""
    key: str
    """Default key or keys, comma-separated, in Textual's names; empty for a command without a key."""
    label: str
    """Two or three words, for the footer."""
    help: str
    """One sentence."""
    verb: str
    """`module:function` under console.tui.verbs, imported when first used."""
    panes: tuple[str, ...] = ()
    """Where it exists; empty is everywhere."""
    tier: Tier = Tier.NONE
    available: Reason = field(default=lambda _: "")
    command: tuple[str, ...] = ()
    """Words of the command bar, the first is the one shown."""
    argument: str = ""
    """What follows the command word: `filter`, `name`, `context`, `theme`, or nothing."""
    cli: str = ""
    """The command line that does the same."""
    footer: int = 0
    """Place in the footer, smaller first; 0 is not shown there. Under `OWN` stand the pane's own verbs, under `COMMON`
    the ways to anywhere, from `ALWAYS` on what is never left out."""
    mutates: bool = False
    needs: str = ""
    """Capability of the backend it cannot do without."""
    lays_line: bool = False
    """It opens a line at the foot of the screen: what is typed meanwhile belongs to that line."""

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key.strip() for key in self.key.split(",") if key.strip())

    def here(self, pane: str) -> bool:
        return not self.panes or pane in self.panes

    def reason(self, situation: Situation) -> str:
        """Why not, or empty."""
        backend = situation.backend
        if self.needs and backend is None:
            return "no context is open"
        if self.needs and backend is not None and getattr(backend, self.needs) is None:
            why = backend.missing.get(self.needs, _LACKING.get(self.needs, "this backend does not offer it"))
            return f"{self.needs}: {why}"
        if self.mutates and situation.read_only:
            return "this console is read-only; open it without --read-only, or use another context, to change anything"
        return self.available(situation)

    def load(self) -> Callable[..., Any]:
        module, _, name = self.verb.partition(":")
        return getattr(import_module(f"console.tui.verbs.{module}"), name)  # type: ignore[no-any-return]
