"""One naming for everything that is measured of a window, so that charts, rules and triggers mean the same by a key.

| key | what |
|---|---|
| `auc`, `accuracy`, `rmse`, `ndcg`, `map`, `mrr`, `hit_rate` … | a performance metric, from labels |
| `estimated.METRIC`, `gap.METRIC` | the same expected without labels; estimated - realized |
| `drift.COLUMN.psi` (`ks`, `js`, `wasserstein`, `p`, `q`) | how far a column is from the reference |
| `drift.share`, `fault` | share of columns that are called odd; columns with a named fault |
| `prediction.psi`, `label.psi` (and `ks`, `js`) | how far the model's answers, and the labels, are |
| `missing.COLUMN`, `outside.COLUMN`, `new.COLUMN` | shares of rows |
| `bias.COLUMN.METRIC` | how unlike the groups of a protected column are answered |
| `multivariate.reconstruction`, `multivariate.domain` | many columns together |
| `rows`, `coverage`, `lag` | rows, share with labels, seconds until a label |
| `service.rate` (`p50`, `p95`, `p99`, `errors`, `cpu`, `memory`) | how the service answered, of a service window |

Plain Python over stored records.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from backends.contract import Invalid
from backends.entities import ColumnScore, Estimate, MonitorState, ServiceWindow, Window
from console.monitoring.quality.performance import LARGER_IS_BETTER

DISTANCES = {
    "psi": "psi", "ks": "ks", "js": "jensen_shannon", "wasserstein": "wasserstein", "p": "p_value", "q": "q_value",
}  # fmt: skip
SHARES = ("missing", "outside", "new")
SERVICE = ("rate", "p50", "p95", "p99", "errors", "cpu", "memory")
PLAIN = ("drift.share", "fault", "rows", "coverage", "lag")
UNITS = {
    "rows": "rows", "lag": "s", "service.rate": "1/s", "service.p50": "ms", "service.p95": "ms", "service.p99": "ms",
    "service.cpu": "cores", "service.memory": "bytes",
}  # fmt: skip
KINDS = ("estimated", "gap", "drift", "prediction", "label", *SHARES, "bias", "multivariate", "service")


def value_of(window: Window | ServiceWindow, key: str) -> Estimate | None:
    """What the window says of it; None where nobody knows. Raises Invalid for a key that is none."""
    check_key(key)
    if isinstance(window, ServiceWindow):
        return _service(window, key.removeprefix("service.")) if key.startswith("service.") else None
    kind, _, rest = key.partition(".")
    if key == "drift.share":
        odd = sum(1 for score in window.columns if score.state in (MonitorState.WARN, MonitorState.FIRING))
        return Estimate(value=odd / len(window.columns), n=window.rows) if window.columns else None
    if key == "fault":
        return Estimate(value=float(sum(1 for score in window.columns if score.fault)), n=window.rows)
    if key == "rows":
        return Estimate(value=float(window.rows), n=window.rows)
    if key == "coverage":
        return Estimate(value=window.labelled / window.rows, n=window.rows) if window.rows else None
    if key == "lag":
        return None if window.label_lag is None else Estimate(value=window.label_lag, n=window.labelled)
    if kind == "estimated":
        return window.estimated.get(rest)
    if kind == "gap":
        return gap(window, rest)
    if kind == "bias":
        return window.bias.get(rest)
    if kind == "multivariate":
        return window.multivariate.get(rest)
    if kind in ("prediction", "label"):
        score = window.prediction if kind == "prediction" else window.label
        return _distance(score, rest, window.rows if kind == "prediction" else window.labelled)
    if kind == "drift":
        column, _, distance = rest.rpartition(".")
        return _distance(_column(window, column), distance, window.rows)
    if kind in SHARES:
        score = _column(window, rest)
        if score is None or score.state is MonitorState.NO_DATA:
            return None
        return Estimate(value=float(getattr(score, kind)), n=window.rows)
    return None if kind == "service" else window.performance.get(key)


def gap(window: Window, metric: str) -> Estimate | None:
    """Estimated less realized performance, positive where the estimate is the kinder one; its interval takes both as
    independent."""
    expected, found = window.estimated.get(metric), window.performance.get(metric)
    if expected is None or found is None:
        return None
    sign = 1.0 if LARGER_IS_BETTER.get(metric, True) else -1.0
    value = sign * (expected.value - found.value)
    if expected.low is None or expected.high is None or found.low is None or found.high is None:
        return Estimate(value=value, n=found.n)
    half = (((expected.high - expected.low) / 2) ** 2 + ((found.high - found.low) / 2) ** 2) ** 0.5
    return Estimate(value=value, low=value - half, high=value + half, n=found.n)


def expanded(window: Window, key: str) -> Iterator[str]:
    """The keys that a key with `*` in place of its column (or group, or metric) means for this window."""
    if "*" not in key:
        yield key
        return
    kind, _, rest = key.partition(".")
    if kind == "drift":
        distance = rest.rpartition(".")[2]
        yield from (f"drift.{score.column}.{distance}" for score in window.columns)
    elif kind in SHARES:
        yield from (f"{kind}.{score.column}" for score in window.columns)
    elif kind == "bias":
        wanted = rest.rpartition(".")[2]
        yield from (f"bias.{name}" for name in window.bias if wanted == "*" or name.rpartition(".")[2] == wanted)


def keys_of(window: Window) -> list[str]:
    """Every key that the window knows something of."""
    found = [*window.performance, *(f"estimated.{name}" for name in window.estimated)]
    found += [f"gap.{name}" for name in window.estimated if name in window.performance]
    found += [f"drift.{score.column}.psi" for score in window.columns] + ["drift.share", "fault"]
    found += ["prediction.psi"] if window.prediction else []
    found += ["label.psi"] if window.label else []
    found += [f"{share}.{score.column}" for share in SHARES for score in window.columns if getattr(score, share)]
    found += [f"bias.{name}" for name in window.bias] + [f"multivariate.{name}" for name in window.multivariate]
    return [*found, "rows", "coverage", *(["lag"] if window.label_lag is not None else [])]


def check_key(key: str) -> None:
    """Raises Invalid with what was probably meant."""
    kind, _, rest = key.partition(".")
    known = False
    if key in LARGER_IS_BETTER or key in PLAIN:
        known = True
    elif kind == "service":
        known = rest in SERVICE
    elif kind == "multivariate":
        known = rest in ("reconstruction", "domain")
    elif kind in ("prediction", "label"):
        known = rest in DISTANCES
    elif kind == "drift":
        known = rest.rpartition(".")[2] in DISTANCES and bool(rest.rpartition(".")[0])
    elif kind in ("estimated", "gap"):
        known = rest in LARGER_IS_BETTER
    elif kind in SHARES or kind == "bias":
        known = bool(rest)
    if not known:
        near = difflib.get_close_matches(key, [*LARGER_IS_BETTER, *PLAIN, *_examples()], 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else f"; one begins with {', '.join(KINDS[:4])} … or is a metric"
        raise Invalid(f"there is no measure {key!r}{hint}", "metric")


def worse_is_up(key: str) -> bool:
    """Whether a larger value is the worse one."""
    kind, _, rest = key.partition(".")
    if key in LARGER_IS_BETTER:
        return not LARGER_IS_BETTER[key]
    if kind == "estimated":
        return not LARGER_IS_BETTER.get(rest, True)
    if kind == "bias":
        return not rest.endswith("ratio")
    if kind == "drift" and rest.rpartition(".")[2] in ("p", "q"):
        return False
    return key not in ("rows", "coverage", "service.rate")


def unit_of(key: str) -> str:
    """Empty for shares, distances and metrics, which have none of their own."""
    return UNITS.get(key, "")


def _examples() -> list[str]:
    return [
        *(f"service.{name}" for name in SERVICE), *(f"prediction.{name}" for name in DISTANCES), "label.psi",
        *(f"drift.*.{name}" for name in DISTANCES), *(f"{name}.*" for name in SHARES), "bias.*.*",
        "multivariate.reconstruction", "multivariate.domain",
        *(f"{kind}.{name}" for kind in ("estimated", "gap") for name in LARGER_IS_BETTER),
    ]  # fmt: skip


def _column(window: Window, name: str) -> ColumnScore | None:
    return next((score for score in window.columns if score.column == name), None)


def _distance(score: ColumnScore | None, name: str, rows: int) -> Estimate | None:
    value = None if score is None else getattr(score, DISTANCES[name])
    return None if value is None else Estimate(value=value, n=rows)


def _service(window: ServiceWindow, name: str) -> Estimate | None:
    found: float | None
    if name in ("p50", "p95", "p99"):
        seconds = getattr(window, name)
        found = None if seconds is None else seconds * 1000
    else:
        found = {
            "rate": window.rate, "errors": window.error_share, "cpu": window.cpu, "memory": window.memory_bytes
        }[name]  # fmt: skip
    return None if found is None else Estimate(value=float(found), n=window.requests or 0)
