"""The finer differences between backends, as data."""

from __future__ import annotations

from backends.entities import Record


class Features(Record, frozen=True, kw_only=True):
    """Finer differences between backends, as data."""

    seek: bool = False
    count: bool = False
    server_sort: bool = False
    compare_and_set: bool = False
    """Alias moves are atomic against the expected holder."""
    actor: bool = False
    history: bool = False
    delete: bool = False
    metric_history: bool = False
    read_only: bool = False
    own_ids: bool = False
    """A run can be made under an id that is given."""
    any_keys: bool = False
    """Keys of metrics, parameters and tags may be any text."""
    whole_series: bool = False
    """The course of a metric keeps its lows and highs however it is cut; else it is thinned to some of its points."""
    page_limit: int = 0
    """Rows that one question of a visible pane may ask for, so that it stays small; 0 for any number."""
