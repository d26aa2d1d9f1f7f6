"""Registered models, and inside each its versions and who holds which alias."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from backends.contract import BackendError, NotFound
from backends.entities import AliasMove, Model, ModelVersion
from backends.mlmodel import with_package
from backends.query import MODEL_FIELDS, Query
from backends.together import both
from console.promotion.prompts import KIND, text_of
from console.safe import safe_text
from console.tui import ink
from console.tui.columns import Column
from console.tui.lines import Line, wrapped
from console.tui.model_columns import (
    main_metrics,
    model_columns,
    prompt_columns,
    prompt_version_columns,
    version_columns,
)
from console.tui.model_lines import model_lines, moves_lines, version_lines
from console.tui.model_pages import NEAR, PAGE, ModelPages
from console.tui.prompt_lines import prompt_lines
from console.tui.table_pane import MOST, TablePane
from console.wording import local_time, plural

MOVES = 1_000
"""Moves that are asked for at once: a version that held an alias long ago says so too."""

NO_PROMPTS = "No prompts yet. MLflow's clients make them: mlflow.genai.register_prompt (mlops-console env says where)"

FIRST_PAGES = 2
"""Of the versions of a server's model that are read on going in; more of them as the cursor comes down."""

REST = 0.25
"""Seconds that the cursor stays on a version before a server is asked for its files."""


@dataclass(frozen=True)
class Models:
    """The list of models, with the champion of each."""

    models: tuple[Model, ...]
    champions: dict[str, ModelVersion]
    more: bool
    kind: str


@dataclass(frozen=True)
class Inside:
    """One model."""

    model: Model
    versions: tuple[ModelVersion, ...]
    moves: tuple[AliasMove, ...]
    more: bool


class ModelsPane(TablePane):
    """Models, and by `enter` the versions of one."""

    PANE = "models"
    TITLE = "Models"
    FIELDS = MODEL_FIELDS
    EMPTY = "No models yet. Press r on a finished run to register its model, or: mlops-console model register RUN"

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.kind = "model"
        """`model` or `prompt`: which of the two are listed."""
        self.inside = ""
        """Name of the model whose versions are listed; empty at the list of models."""
        self.history: tuple[AliasMove, ...] = ()
        self.more = False
        self.champions: dict[str, ModelVersion] = {}
        self.told: dict[str, ModelVersion | str] = {}
        """Versions with what their MLmodel says, or why it could not be read."""
        self._unread: set[str] = set()
        """Those of which a reason stands there and that are asked again."""
        self._telling = ""
        self._wanted = ""
        self._going_in = False
        self._shown = ("model", "")
        self._pages = ModelPages()
        self._deep: tuple[object, int] = (None, 1)
        """Which list, and how many pages of it are read: one more whenever the cursor comes near the end."""
        self._read = 0
        """Pages of versions that were read last."""

    def first_columns(self) -> Sequence[Column[Any]]:
        return model_columns({})

    # ------------------------------------------------------------ asking and showing

    def fetch(self) -> Models | Inside:
        return self._fetch_inside(self.inside) if self.inside else self._fetch_models()

    def _fetch_models(self) -> Models:
        registry, remote = self.backend.need("registry"), self.backend.features.page_limit
        kind = self.kind
        if remote:
            of = kind, self.query_text
            self._deep = (of, self._deep[1] if self._deep[0] == of else 1)
            models, more = self._pages.read(registry, self.filter, kind=kind, of=of, pages=self._deep[1])
        else:
            page = registry.page(self.filter, limit=MOST, kind=kind)
            models, more = page.items, page.next is not None
        found = Models(models, {}, more, kind)
        if kind == KIND or (remote and (self.inside or self._going_in)):
            return found  # prompts have no champions worth a look, and who goes into a model waits for none
        if remote and (not self.loaded or self._shown != (kind, "")):
            self.early(replace(found, champions=self.champions))
        return replace(found, champions=registry.holders(models, "champion"))

    def _fetch_inside(self, name: str) -> Inside:
        registry = self.backend.need("registry")
        if self.backend.features.page_limit:
            self._deep = (name, self._deep[1] if self._deep[0] == name else FIRST_PAGES)
            model, page = both(lambda: registry.get(name), lambda: registry.versions(name, limit=PAGE))
            versions, read = page.items, 1
            while page.next is not None and read < self._deep[1]:
                if self._shown[1] != name:
                    self.early(Inside(model, versions, (), more=True))
                page = registry.versions(name, at=page.next, limit=PAGE)
                versions, read = versions + page.items, read + 1
            self._read = read
        else:
            model, page = registry.get(name), registry.versions(name, limit=MOST)
            versions = page.items
        try:
            moves = registry.history(name, limit=MOVES)
        except BackendError:
            moves = ()  # a registry without a history still has versions
        return Inside(model, versions, moves, page.next is not None)

    def show(self, data: Any) -> None:
        self._unread = {ref for ref, said in self.told.items() if isinstance(said, str)}
        match data:
            case Inside() if data.model.name == self.inside:
                self.history, self.more = data.moves, data.more
                self.kind = data.model.kind
                self.table.empty = f"{safe_text(self.inside)} has no versions."
                self._take(
                    prompt_version_columns(data.moves)
                    if self.kind == KIND
                    else version_columns(main_metrics(data.versions), data.moves)
                )
                self.table.show_list(data.versions, lambda version: version.version)
            case Models() if not self.inside and data.kind == self.kind:
                self.history, self.more, self.champions = (), data.more, data.champions
                nothing = NO_PROMPTS if self.kind == KIND else self.EMPTY
                self.table.empty = f"No {self.kind} matches the filter." if self.query_text else nothing
                self._take(prompt_columns() if self.kind == KIND else model_columns(data.champions))
                self.table.show_list(data.models, lambda model: model.name)
            case _:
                return  # asked before the person went elsewhere; the answer for here is on its way
        if self._wanted:
            self.table.go_to(self._wanted)
            self._wanted = ""
        self.draw_facts()

    def _take(self, columns: Sequence[Column[Any]]) -> None:
        shown = (self.kind, self.inside)
        if self._shown == shown:
            self.table.set_columns(columns)
        else:
            self.table.restart(columns)
            self._shown = shown

    def failed(self, error: Exception) -> None:
        if self.inside and isinstance(error, NotFound):
            self.leave()
        super().failed(error)

    def facts(self, width: int) -> list[Line]:
        return self._facts(width)

    def details(self) -> Sequence[Line]:
        return self._facts(max(20, self.size.width - 4), everything=True)

    async def described(self) -> Sequence[Line] | None:
        """Of a model also how its aliases moved, which its list does not ask for."""
        found = self.selected()
        return [*self.details(), *await self._moved(found.name)] if isinstance(found, Model) else None

    async def _moved(self, name: str) -> list[Line]:
        """How the aliases of a model moved, and who agreed to it."""
        from console.promotion.consent import consents_to, words

        backend = self.backend
        try:
            moves = await self.app.look_up(lambda: backend.need("registry").history(name, limit=MOVES))
            asked = await self.app.look_up(lambda: consents_to(backend, name, moves))
        except BackendError as error:
            return wrapped(safe_text(f"history: {error}", 400), self.size.width - 4, "warn", " ")
        return moves_lines(moves, {entry: words(each) for entry, each in asked.items()})

    def _facts(self, width: int, *, everything: bool = False) -> list[Line]:
        match self.selected():
            case Model() as model:
                return model_lines(model, self.champions.get(model.name), width, everything=everything)
            case ModelVersion() as version if self.kind == KIND:
                return prompt_lines(version, self.history, width, everything=everything)
            case ModelVersion() as version:
                said = self.told.get(version.ref)
                if isinstance(said, ModelVersion):
                    version = msgspec.structs.replace(
                        version, package=said.package, signature=said.signature, file=said.file
                    )
                unknown = said if isinstance(said, str) else ""
                return version_lines(version, self.history, width, unknown, everything=everything)
        return []

    def _read_on(self) -> None:
        """Ask for the next page of the list, where the cursor is near the end of what was read."""
        at, count = self.table.position, self.table.count
        if not self.more or at is None or count is None or not self.backend.features.page_limit:
            return
        read = self._read if self.inside else self._pages.count
        if count.value - at <= NEAR and self._deep[1] <= read:
            self._deep = (self._deep[0], read + 1)
            self.refresh_data()

    def draw_facts(self) -> None:
        super().draw_facts()
        self._read_on()
        found = self.selected()
        if not isinstance(found, ModelVersion) or self.kind == KIND or found.ref == self._telling:
            return
        if found.ref not in self.told or found.ref in self._unread:
            self._telling = found.ref
            self._unread.discard(found.ref)
            self.run_worker(self._tell(found), group="fetch-package", exclusive=True, exit_on_error=False)

    async def _tell(self, version: ModelVersion) -> None:
        """Read what a version's MLmodel says, once the cursor rests on it."""
        if self.backend.features.page_limit:
            await asyncio.sleep(REST)
        try:
            self.told[version.ref] = await self.app.look_up(lambda: with_package(self.backend, version))
        except BackendError as error:
            self.told[version.ref] = str(error)
        self._telling = ""
        self.draw_facts()

    # ------------------------------------------------------------ what the frame asks

    def crumbs(self) -> tuple[str, ...]:
        found = self.table.cursor_row
        title = "Prompts" if self.kind == KIND else self.TITLE
        if self.inside:
            deeper = (f"v{found.version}",) if self.opened and isinstance(found, ModelVersion) else ()
            return (title, self.inside, *deeper)
        return (title, found.name) if self.opened and isinstance(found, Model) else (title,)

    def status(self) -> ink.Spans:
        count = self.table.count
        if count is None:
            return ()
        noun = "version" if self.inside else self.kind
        on = "; further down are more" if self.backend.features.page_limit else ""
        more = f" shown{on or '; a filter finds the others'}" if self.more else ""
        where = f"{safe_text(self.inside, 40)}  " if self.inside else ""
        return ((f" {where}", ""), (f"{plural(count.value, noun)}{more}", "dim"))

    def copies(self) -> Sequence[tuple[str, str]]:
        match self.selected():
            case Model() as model:
                return [("name", model.name), *((f"@{alias}", v) for alias, v in sorted(model.aliases.items()))]
            case ModelVersion() as version:
                return [
                    ("version", version.ref),
                    ("uri", f"{self.kind}s:/{version.model}/{version.version}"),
                    *([("text", text_of(version))] if self.kind == KIND else ()),
                    ("run", version.run),
                    ("sha256", version.file.sha256),
                ]
        return []

    def exported(self) -> tuple[str, Sequence[str], Iterator[Sequence[object]]]:
        _, titles, rows = super().exported()
        return (f"{self.inside}-versions" if self.inside else f"{self.kind}s"), titles, rows

    def choose(self, kind: str, argument: str = "") -> None:
        """List models, or prompts; with an argument as `go` takes it."""
        if self.kind != kind:
            self.kind, self.inside, self.dirty = kind, "", True
            self.set_open(False)
        if not self.ready:
            self.wanted = argument
            return
        if argument:
            self.go(argument)
        elif self.dirty:
            self.refresh_data()
        self.app.refresh_frame()

    def go(self, argument: str) -> None:
        """`:model churn` goes into the model of that name, `:model churn history` says how its aliases moved, and
        `… at TIME` what was in production then; anything else is a filter."""
        name, at, when = argument.strip().rpartition(" at ")
        if at and when.strip():
            self.app.run_worker(self._tell_what_was(name.strip(), when.strip()), exit_on_error=False)
            return
        name, _, word = argument.strip().rpartition(" ")
        if name and word == "history":
            self.app.run_worker(self._tell_how_it_moved(name.strip()), exit_on_error=False)
            return
        self.app.run_worker(self._go(argument.strip()), exit_on_error=False)

    async def _go(self, name: str) -> None:
        registry = self.backend.need("registry")
        self._going_in = True
        try:
            await self.app.look_up(lambda: registry.get(name))
        except BackendError:
            self._going_in = False
            self.leave()
            super().go(name)
            return
        finally:
            self._going_in = False
        self.enter(name)

    async def _tell_how_it_moved(self, name: str) -> None:
        """`:model churn history`: as `d` in the list of models says it."""
        from console.tui.reading import ReadingScreen

        try:
            model = await self.app.look_up(lambda: self.backend.need("registry").get(name))
        except BackendError as error:
            self.app.show_problem(error, f"the history of {name}")
            return
        lines = model_lines(model, None, max(20, self.size.width - 4), everything=True)
        moved = await self._moved(model.name)
        nothing = [Line([("", "")]), Line([(" none of its aliases has moved yet", "dim")])]
        self.app.push_screen(ReadingScreen(f"Models › {safe_text(name, 60)} › history", [*lines, *(moved or nothing)]))

    async def _tell_what_was(self, name: str, when: str) -> None:
        """`:model churn at 2026-11-01T02:00`: what was in production then."""
        from console.moment import moment
        from console.promotion.at import version_at
        from console.promotion.moves import DEFAULT_ALIAS

        try:
            instant = moment(when)
            version = await self.app.look_up(lambda: version_at(self.backend, name, DEFAULT_ALIAS, instant))
        except BackendError as error:
            self.app.show_problem(error, f"what {name} was at {when}")
            return
        what = f"v{version}" if version else "nothing"
        self.app.tell(f"{name} {DEFAULT_ALIAS} at {local_time(instant)}: {what}")

    def apply_query(self, query: Query, text: str) -> None:
        self.inside = ""
        super().apply_query(query, text)

    def open_selected(self) -> None:
        found = self.selected()
        if isinstance(found, Model):
            self.enter(found.name)
        elif found is not None:
            self.set_open(True)

    def enter(self, name: str) -> None:
        """List the versions of a model."""
        self.set_open(False)
        self.inside = name
        self.refresh_data()

    def leave(self) -> None:
        """Back to the list of models, with the cursor on the one we were in."""
        if self.inside:
            self._wanted, self.inside = self.inside, ""
            self.refresh_data()

    def back(self) -> bool:
        if self.opened:
            return super().back()
        if self.inside:
            self.leave()
            return True
        return super().back()
