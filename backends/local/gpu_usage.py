"""What the graphics cards of this machine do, where NVIDIA's library is there to say so (the extra `gpu`)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any


class GpuUsage:
    """Every card that the driver knows, by its number there. A machine without any answers nothing."""

    def __init__(self, note: Callable[[str], None] = lambda _: None) -> None:
        self._nvml: Any = None
        self._cards: list[Any] = []
        self._silent: set[tuple[int, str]] = set()
        try:
            import pynvml  # of nvidia-ml-py
        except ImportError:
            return
        try:
            pynvml.nvmlInit()
            self._nvml = pynvml
            self._cards = [pynvml.nvmlDeviceGetHandleByIndex(at) for at in range(pynvml.nvmlDeviceGetCount())]
        except pynvml.NVMLError as error:
            absent = (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
            if getattr(error, "value", None) not in absent:
                note(f"the graphics cards are not watched: {error}")

    def sample(self, pids: Collection[int] = ()) -> dict[str, float]:
        """MLflow's metrics of each card (percent, megabytes, watts), and what these processes hold of its memory.

        A card that cannot tell one of them is asked for the others, and for that one no more.
        """
        found: dict[str, float] = {}
        for at, card in enumerate(self._cards):
            for ask in (self._memory, self._utilization, self._power, self._held):
                if (at, ask.__name__) in self._silent:
                    continue
                try:
                    found |= {name.format(at): value for name, value in ask(card, pids).items()}
                except self._nvml.NVMLError:
                    self._silent.add((at, ask.__name__))
        return found

    def _memory(self, card: Any, _: Collection[int]) -> dict[str, float]:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(card)
        return {
            "system/gpu_{}_memory_usage_percentage": round(memory.used / memory.total * 100, 1),
            "system/gpu_{}_memory_usage_megabytes": round(memory.used / 1e6, 1),
        }

    def _utilization(self, card: Any, _: Collection[int]) -> dict[str, float]:
        return {"system/gpu_{}_utilization_percentage": float(self._nvml.nvmlDeviceGetUtilizationRates(card).gpu)}

    def _power(self, card: Any, _: Collection[int]) -> dict[str, float]:
        drawn, most = self._nvml.nvmlDeviceGetPowerUsage(card), self._nvml.nvmlDeviceGetEnforcedPowerLimit(card)
        return {
            "system/gpu_{}_power_usage_watts": round(drawn / 1000, 1),
            "system/gpu_{}_power_usage_percentage": round(drawn / most * 100, 1) if most else 0.0,
        }

    def _held(self, card: Any, pids: Collection[int]) -> dict[str, float]:
        """Nothing where the driver names other processes only, as it does from within a container."""
        held = [
            each.usedGpuMemory or 0
            for each in self._nvml.nvmlDeviceGetComputeRunningProcesses(card)
            if each.pid in pids
        ]
        return {"system/run_gpu_{}_memory_usage_megabytes": round(sum(held) / 1e6, 1)} if held else {}

    def close(self) -> None:
        if self._nvml is not None:
            try:
                self._nvml.nvmlShutdown()
            except self._nvml.NVMLError:
                pass  # the driver went away: there is nothing left to give back
