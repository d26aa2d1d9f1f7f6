"""Drawing only what a change touches.

For two changed lines Textual asks every widget on their screen for all of its lines, and throws most away. Here a
widget is asked for those of its lines that lie beside the change, and not at all where it has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual._compositor import Compositor
from textual.geometry import Region

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.strip import Strip


class NearCompositor(Compositor):
    """Textual's compositor, near the change."""

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if not crop:
            yield from super()._get_renders(crop)
            return
        for widget, (region, clip) in self.visible_widgets.items():
            seen = region.intersection(clip)
            if not crop.overlaps(seen):
                continue
            # Whole in width, since a widget's columns are where lines are cut.
            top, bottom = max(seen.y, crop.y), min(seen.bottom, crop.bottom)
            near = Region(seen.x, top, seen.width, bottom - top)
            yield region, near, widget.render_lines(near.translate((-region.x, -region.y)))
