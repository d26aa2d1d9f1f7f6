"""Whether a context's metrics store answers, and each of its services in it: for `context test` and `doctor`."""

from __future__ import annotations

from backends.contract import Backend, BackendError, MetricSource, Unreachable
from backends.entities import Asked, Record, SourceInfo
from console.services.read import answered, why_nothing
from console.services.source import Known, known_services
from console.services.table import MetricsTable


class ServiceHealth(Record, frozen=True, kw_only=True):
    name: str
    kind: str
    monitors: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()
    window_s: int = 60
    said: str = ""
    """Which quantities have data, or why none has."""
    well: bool = False


class SourceHealth(Record, frozen=True, kw_only=True):
    where: str
    info: SourceInfo | None = None
    services: tuple[ServiceHealth, ...] = ()
    trouble: str = ""
    """What keeps us from it, and what to do."""

    @property
    def well(self) -> bool:
        return not self.trouble and all(each.well for each in self.services)


def source_health(backend: Backend, table: MetricsTable) -> SourceHealth:
    """Ask it. Nothing is raised: what is wrong is told."""
    source = backend.metrics
    if source is None:
        return SourceHealth(where=table.url, trouble=backend.missing.get("metrics", "it was not opened"))
    try:
        info = source.info()
        found = tuple(_service(source, known) for known in known_services(backend, table))
    except BackendError as error:
        return SourceHealth(where=source.where(), trouble=str(error))
    return SourceHealth(where=source.where(), info=info, services=found)


def health_lines(found: SourceHealth) -> list[str]:
    """What it is, and a line for each service."""
    if found.trouble:
        return [f"metrics: {found.trouble}"]
    info = found.info
    product = f"{info.product} {info.version}".strip() if info is not None else ""
    lines = [f"metrics: {found.where} answers{f', {product}' if product else ''}"]
    for each in found.services:
        window = f" (windows of {each.window_s // 60} min)" if each.window_s > 60 else ""
        lines.append(f"metrics of {each.name}: {each.said}{window}")
    return lines


def _service(source: MetricSource, known: Known) -> ServiceHealth:
    service = known.service
    asked: tuple[Asked, ...] = ()
    length = 60_000
    try:
        length = source.length(service)
        asked = source.examine(service)
        wrong = [each.trouble for each in asked if each.trouble and not each.series]
        said = answered(asked) if any(each.series for each in asked) else why_nothing(source, service)
        said = wrong[0] if wrong else said
        well = not wrong and any(each.series for each in asked)
    except Unreachable:
        raise
    except BackendError as error:
        said, well = str(error), False
    return ServiceHealth(
        name=service.name, kind=service.kind, monitors=known.monitors, asked=asked, window_s=length // 1000, said=said,
        well=well,
    )  # fmt: skip
