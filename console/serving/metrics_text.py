"""The server's counters as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from console.serving.counters import EDGES, WorkerStats, summed
from console.serving.spec import ServingSpec

if TYPE_CHECKING:
    from console.serving.server import Standing


def metrics_text(spec: ServingSpec, standings: Sequence[Standing], workers: Sequence[WorkerStats]) -> str:
    """Text format 0.0.4. Every series has the labels model and deployment."""
    common = {"model": spec.model, "deployment": spec.id}
    counted = sorted(summed(workers).items())
    out: list[str] = []

    def family(name: str, kind: str, text: str, series: Iterable[tuple[dict[str, str], float]]) -> None:
        out.append(f"# HELP {name} {text}")
        out.append(f"# TYPE {name} {kind}")
        out.extend(f"{name}{_labels(common | labels)} {_number(value)}" for labels, value in series)

    family(
        "model_requests_total", "counter", "Requests answered, by version and HTTP status.",
        (({"version": version, "status": status}, count)
         for version, each in counted for status, count in sorted(each.statuses.items())),
    )  # fmt: skip
    family(
        "model_predictions_total", "counter", "Rows that a prediction was given for.",
        (({"version": version}, each.rows) for version, each in counted),
    )  # fmt: skip
    name = "model_request_seconds"
    out += [f"# HELP {name} Time from a request's headers to the end of its answer.", f"# TYPE {name} histogram"]
    for version, each in counted:
        upto = 0
        for edge, count in zip(EDGES, each.buckets, strict=False):
            upto += count
            out.append(f"{name}_bucket{_labels(common | {'version': version, 'le': f'{edge:g}'})} {upto}")
        out.append(f"{name}_bucket{_labels(common | {'version': version, 'le': '+Inf'})} {each.requests}")
        out.append(f"{name}_sum{_labels(common | {'version': version})} {_number(each.seconds)}")
        out.append(f"{name}_count{_labels(common | {'version': version})} {each.requests}")
    family(
        "model_shadow_requests_total", "counter", "Times that a version was asked as a shadow.",
        (({"version": version}, each.shadow_requests) for version, each in counted if each.shadow_requests),
    )  # fmt: skip
    family(
        "model_shadow_errors_total", "counter", "Times that a shadow had no answer.",
        (({"version": version}, each.shadow_errors) for version, each in counted if each.shadow_requests),
    )  # fmt: skip
    family(
        "model_shadow_dropped_total", "counter", "Requests that no shadow was asked for, because too many waited.",
        [({}, sum(each.shadow_dropped for each in workers))],
    )  # fmt: skip
    family(
        "model_log_rows_total", "counter", "Rows written to the prediction log.",
        [({}, sum(each.logged for each in workers))],
    )  # fmt: skip
    family(
        "model_log_dropped_total", "counter", "Rows that the prediction log did not take.",
        [({}, sum(each.log_dropped for each in workers))],
    )  # fmt: skip
    family(
        "model_target_info", "gauge", "1 for each version that is served, with its target and share.",
        (({"version": each.version, "target": each.target.name, "share": f"{each.target.share:g}",
           "role": "shadow" if each.target.shadow else "live", "state": each.state}, 1) for each in standings),
    )  # fmt: skip
    family(
        "model_worker_resident_bytes", "gauge", "Resident memory of a worker.",
        (({"worker": str(number)}, each.rss) for number, each in enumerate(workers)),
    )  # fmt: skip
    family(
        "model_worker_cpu_seconds_total", "counter", "CPU time of a worker.",
        (({"worker": str(number)}, each.cpu_seconds) for number, each in enumerate(workers)),
    )  # fmt: skip
    return "\n".join(out) + "\n"


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
