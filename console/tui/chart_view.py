"""How a chart is looked at: its axes, its smoothing, the stretch that is shown. Pure, kept for each metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from backends.system_metrics import is_system
from console.axes import Across, x_text

SMOOTHINGS = (0.0, 0.6, 0.9, 0.99)
"""Weights of what came before; 0 is off."""

Extent = tuple[float, float]
"""First and last x."""

ZOOM = 2.0
PAN = 0.25
"""Part of what is shown."""

FINEST = {Across.STEP: 2.0, Across.ELAPSED: 0.01, Across.CLOCK: 1.0}
"""No stretch is shorter."""


@dataclass(frozen=True)
class View:
    log: bool = False
    smoothing: float = 0.0
    across: Across = Across.STEP
    window: Extent | None = None
    """The stretch of x that is shown; None is all of it, also what comes."""
    given: bool = False
    """The stretch is what the chart is about, and not something that somebody chose: nothing is said of it."""

    def with_log(self) -> View:
        return replace(self, log=not self.log)

    def smoother(self) -> View:
        """The next weight; after the last none."""
        at = SMOOTHINGS.index(self.smoothing) if self.smoothing in SMOOTHINGS else 0
        return replace(self, smoothing=SMOOTHINGS[(at + 1) % len(SMOOTHINGS)])

    def other_axis(self) -> View:
        """Steps, or the time since the run began. What was a stretch of one is none of the other."""
        across = Across.ELAPSED if self.across is Across.STEP else Across.STEP
        return replace(self, across=across, window=None)

    def zoomed(self, extent: Extent, times: float, around: float | None = None) -> View:
        """`times` nearer, or further away below 1, around an x or the middle. All of it is no window."""
        low, high = self.window or extent
        span = max((high - low) / times, min(FINEST[self.across], extent[1] - extent[0]))
        if span >= extent[1] - extent[0]:
            return self.whole()
        if around is None or not low <= around <= high:
            around = (low + high) / 2
        share = (around - low) / (high - low) if high > low else 0.5
        return self._at(extent, around - share * span, span)

    def panned(self, extent: Extent, share: float) -> View:
        """Moved by a part of what is shown, up to the end of what there is."""
        if self.window is None:
            return self
        low, high = self.window
        return self._at(extent, low + share * (high - low), high - low)

    def whole(self) -> View:
        return replace(self, window=None)

    def _at(self, extent: Extent, low: float, span: float) -> View:
        low = min(max(low, extent[0]), extent[1] - span)
        return replace(self, window=(low, low + span))

    def said(self) -> str:
        """What is not as usual, for the heading."""
        parts = ["log"] if self.log else []
        if self.smoothing:
            parts.append(f"ema {self.smoothing:g}")
        if self.across is Across.ELAPSED:
            parts.append("time")
        if self.window and not self.given:
            low, high = self.window
            if self.across is Across.STEP:
                low, high = round(low), round(high)
            parts.append(f"{x_text(low, self.across)} … {x_text(high, self.across)}")
        return " · ".join(parts)


def view_of(views: Mapping[str, View], metric: str) -> View:
    """How a metric is looked at: as it was left, else over its steps; what the machine does over time, where it meets
    the others."""
    return views.get(metric) or View(across=Across.ELAPSED if is_system(metric) else Across.STEP)
