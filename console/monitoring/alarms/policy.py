"""When a monitor speaks up: the knobs of a policy, their defaults, and what each means."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from backends.contract import Invalid
from backends.entities import Record


class Policy(Record, frozen=True):
    """A performance alert fires when the metric over the last `pool` windows together is worse than the reference by
    more than `min_effect`, its whole 95 % interval included, at `k` of the last `n` windows.

    Windows are pooled because one day's AUC is both noisy and lower than that of months: sorting the delayed flights
    of one afternoon is harder than telling a snow day from a clear one, which the reference's AUC also gets paid for.
    """

    min_effect: float = 0.02
    """In the metric's own unit; for a regression's errors, as a share of the reference."""
    pool: int = 7
    k: int = 3
    n: int = 5
    min_labels: int = 200
    """Labelled rows that the pooled windows need before anything is judged."""
    drift_k: int = 3
    drift_n: int = 5
    """A drift warning needs strongly drifted features in this many of the last windows. It never fires by itself."""
    psi: float = 0.25
    """PSI from which a feature counts as strongly drifted."""


MEANING = {
    "min_effect": "how much worse than the reference counts",
    "pool": "windows measured together",
    "k": "bad windows that fire",
    "n": "of the last",
    "min_labels": "labelled rows needed to judge",
    "drift_k": "drifted windows that warn",
    "drift_n": "of the last",
    "psi": "PSI from which a feature counts as drifted",
}


def read_policy(values: Mapping[str, float]) -> Policy:
    """The policy that a monitor's `policy` describes; what it leaves out is the default. Raises Invalid naming the
    key."""
    given: dict[str, float | int] = {}
    for key, value in values.items():
        if key not in MEANING:
            near = difflib.get_close_matches(key, MEANING, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(MEANING)}"
            raise Invalid(f"policy key {key!r} is not known{hint}", f"policy.{key}")
        whole = key not in ("min_effect", "psi")
        if value != value or value < 0 or (whole and (value < 1 or value != int(value))):
            wanted = "a whole number from 1 up" if whole else "a number from 0 up"
            raise Invalid(f"policy {key} must be {wanted}, and is {value}", f"policy.{key}")
        given[key] = int(value) if whole else float(value)
    policy = Policy(**given)  # type: ignore[arg-type]
    for few, many in (("k", "n"), ("drift_k", "drift_n")):
        if getattr(policy, few) > getattr(policy, many):
            raise Invalid(
                f"policy {few} is {getattr(policy, few)} of the last {getattr(policy, many)} windows ({many}): "
                f"it can never be reached; make {many} at least as large",
                f"policy.{few}",
            )
    return policy
