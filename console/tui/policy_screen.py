"""The alert rules of a monitor: in words, and over history what they would have done and how often they cry wolf."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from backends.contract import BackendError
from backends.entities import Progress
from console.monitoring.alarms.replaying import Replay, RuleReplay, told
from console.monitoring.alarms.rule_words import rule_words
from console.monitoring.wording import moment
from console.offload import Cancelled
from console.safe import safe_text
from console.tui import ink, state
from console.tui.lines import Line, wrapped
from console.tui.searching import SearchingScreen
from console.wording import plural

if TYPE_CHECKING:
    from console.monitoring.alarms.rules import Rule

Search = Callable[[Callable[[Progress], None], Callable[[], bool]], Replay]
NAME = 22
EPISODES = 4
"""Alerts of a rule that are listed; the others are counted."""
TONES = {"critical": "firing", "warn": "warn", "info": "ok"}


@dataclass
class Draft:
    """Rules as they are written, and what is known of them."""

    text: str
    rules: tuple[Rule, ...]
    saved: str
    """The text that is in force."""
    default: bool = False
    """In force are the default rules, with the monitor's knobs."""
    replay: Replay | None = None
    trouble: str = ""
    """Why they could not be replayed."""

    @property
    def changed(self) -> bool:
        return self.text != self.saved


class PolicyScreen(SearchingScreen):
    """The answer is `edit`, `save` or `default`, or None; the draft keeps what the replay found."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "wish('edit')", "edit", id="policy.edit", tooltip="Change the rules in your editor."),
        Binding("r", "replay", "replay", id="policy.replay", tooltip="What they would have done over history."),
        Binding("s", "wish('save')", "save", id="policy.save", tooltip="Put these rules in force."),
        Binding("D", "wish('default')", "defaults", id="policy.default", tooltip="Go back to the default rules."),
    ]

    def __init__(self, monitor: str, draft: Draft, search: Search) -> None:
        super().__init__(f"Alert policy of {monitor}", ())
        self.draft = draft
        self._search = search
        self._saving = False
        """To be saved once it is replayed."""

    def on_mount(self) -> None:
        super().on_mount()
        self._draw()
        if self.draft.changed and self.draft.replay is None and not self.draft.trouble:
            self.action_replay()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        self.show(policy_lines(self.draft, self.app.size.width))

    def keys(self) -> ink.Spans:
        return [
            (" e", "key"), (" edit   ", "dim"), ("r", "key"), (" replay   ", "dim"), ("s", "key"), (" save   ", "dim"),
            ("D", "key"), (" defaults   ", "dim"), ("y", "key"), (" copy   ", "dim"), ("esc", "key"), (" back", "dim"),
        ]  # fmt: skip

    def action_replay(self) -> None:
        if not self.searching:
            self.run_worker(self._replay(), group="replay", exit_on_error=False)

    async def _replay(self) -> None:
        """Over the windows that are kept; then it is saved, if that was asked for meanwhile."""
        draft = self.draft
        draft.trouble = ""
        try:
            draft.replay = await self.search("replaying the rules", self._search)
        except Cancelled:
            self._saving = False
            draft.trouble = "the replay was ended; r begins it anew"
        except (BackendError, OSError) as error:
            draft.trouble = f"these rules could not be replayed: {error}"
        self._draw()
        if self._saving and self.is_current:
            self._saving = False
            self.dismiss("save")  # type: ignore[arg-type]

    def action_wish(self, do: str) -> None:
        if do == "save":
            if not self.draft.changed:
                self.app.tell("these rules are in force already; e changes them")
                return
            if self.draft.replay is None and (self.searching or not self.draft.trouble):
                self._saving = True
                self.app.tell("they are replayed first; then you are asked")
                self.action_replay()
                return
        self.dismiss(do)  # type: ignore[arg-type]


def policy_lines(draft: Draft, width: int) -> list[Line]:
    """Where the rules stand, then each in words with what the replay says of it."""
    if draft.changed:
        lines = [Line([(" changed, not saved: ", "warn"), ("s", "key"), (" saves them", "dim")])]
    else:
        said = "the default rules, with this monitor's knobs" if draft.default else "the monitor's own rules"
        lines = [Line([(f" in force: {said}", "dim")])]
    replay = draft.replay
    if replay is not None:
        span = f"{moment(replay.first, 'day')} to {moment(replay.last, 'day')}"
        lines += wrapped(f"replayed over {plural(replay.windows, 'window')}, {span}", width - 2, "dim", " ")
    if draft.trouble:
        lines += wrapped(safe_text(draft.trouble, 600), width - 2, "warn", " ")
    known = {item.rule.name: item for item in replay.rules} if replay is not None else {}
    for rule in draft.rules:
        lines.append(Line([("", "")]))
        lines += _rule(rule, known.get(rule.name), replay, width)
    return lines


def _rule(rule: Rule, item: RuleReplay | None, replay: Replay | None, width: int) -> list[Line]:
    head = Line(
        [
            (" ", ""),
            state.span(TONES.get(rule.severity, "ok"), f"{rule.severity:<8}"),
            (f" {safe_text(rule.name, max(NAME, width - 14))}", "head"),
        ],
        f"rule:{rule.name}",
        rule,
    )
    lines = [head, *wrapped(safe_text(rule_words(rule), 400), width - 14, "", " " * 12)]
    if item is None or replay is None:
        return lines
    lines += wrapped(safe_text(told(item, replay.days), 300), width - 14, "accent", " " * 12)
    for episode in item.episodes[-EPISODES:]:
        end = moment(episode.resolved_at, "day") if episode.resolved_at is not None else "still open"
        part = f"{episode.segment}: " if episode.segment else ""
        said = f"{moment(episode.opened_at, 'day')} to {end}  {part}{episode.text}"
        lines.append(Line([(" " * 12, ""), (safe_text(said, max(20, width - 14)), "dim")]))
    if len(item.episodes) > EPISODES:
        earlier = plural(len(item.episodes) - EPISODES, "earlier one")
        lines.append(Line([(" " * 12, ""), (f"and {earlier}", "dim")]))
    return lines
