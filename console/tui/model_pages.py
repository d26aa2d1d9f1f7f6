"""The models of a server, read page by page as a person goes down: what nobody looks at is not asked for."""

from __future__ import annotations

from typing import Final

from backends.contract import ModelRegistry, Page
from backends.entities import Model
from backends.query import Query

PAGE: Final = 100
"""Models that a server is asked for at once."""
NEAR: Final = 30
"""So many rows from the end of what was read, the next page is asked for."""


class ModelPages:
    """Pages of one list in the server's order. `read` runs in a thread, and never twice at once."""

    def __init__(self) -> None:
        self._of: object = None
        self._pages: list[Page[Model]] = []
        self._turn = 0

    @property
    def count(self) -> int:
        """How many were read last."""
        return len(self._pages)

    def read(
        self, registry: ModelRegistry, query: Query | None, *, kind: str, of: object, pages: int
    ) -> tuple[tuple[Model, ...], bool]:
        """(the models of the first so many pages, whether there are more).

        The first page is always read anew, of the others one at each look: a look costs two questions at most besides
        the pages that nobody has read yet. `of` says which list it is; of another one nothing is kept.
        """
        known = self._pages if of == self._of else []
        self._turn = self._turn % (len(known) - 1) + 1 if len(known) > 1 else 0
        found = [registry.page(query, limit=PAGE, kind=kind)]
        while len(found) < pages and (at := found[-1].next) is not None:
            number = len(found)
            here = known[number] if number < len(known) and known[number - 1].next == at else None
            found.append(
                registry.page(query, at=at, limit=PAGE, kind=kind) if here is None or number == self._turn else here
            )
        self._of, self._pages = of, found
        # Pages that were read at different times may overlap, where a model was made meanwhile.
        models = {model.name: model for page in reversed(found) for model in reversed(page.items)}
        return tuple(reversed(models.values())), found[-1].next is not None
