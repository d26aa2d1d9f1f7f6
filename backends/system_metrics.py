"""The metrics of machine and processes among a run's metrics: their names, and how they are told from its own.

Those of the machine have MLflow's own names and units (`mlflow.system_metrics`, megabytes are millions of bytes).
What is of the run's processes alone begins with `system/run_`: MLflow has no such metric. Of a run's own metrics none
begins with `system/`; nothing that judges a run looks at one that does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

T = TypeVar("T")

SYSTEM: Final = "system/"

CPU: Final = "system/cpu_utilization_percentage"
"""Of the machine; 100 is all its cores."""
MEMORY_MB: Final = "system/system_memory_usage_megabytes"
MEMORY_PERCENT: Final = "system/system_memory_usage_percentage"
DISK_MB: Final = "system/disk_usage_megabytes"
"""Of the file system that the run's folder is on, as the two below."""
DISK_PERCENT: Final = "system/disk_usage_percentage"
DISK_FREE_MB: Final = "system/disk_available_megabytes"
RECEIVED_MB: Final = "system/network_receive_megabytes"
"""By the machine since the run began."""
SENT_MB: Final = "system/network_transmit_megabytes"

RUN_CPU: Final = "system/run_cpu_utilization_percentage"
"""Of all processes of the run; 100 is one core."""
RUN_CPU_S: Final = "system/run_cpu_seconds"
"""User and system time of all its processes since it began, those that have ended among them."""
RUN_MEMORY_MB: Final = "system/run_memory_usage_megabytes"
"""Resident, of all its processes together; pages that they share count for each."""
RUN_PEAK_MB: Final = "system/run_memory_peak_megabytes"
"""The most that was seen of it so far; at the end no less than the operating system saw of its largest process."""
RUN_PROCESSES: Final = "system/run_processes"


def is_system(metric: str) -> bool:
    return metric.startswith(SYSTEM)


def own(metrics: Mapping[str, T]) -> dict[str, T]:
    """Those metrics, by name, that are the run's own."""
    return {name: value for name, value in metrics.items() if not name.startswith(SYSTEM)}
