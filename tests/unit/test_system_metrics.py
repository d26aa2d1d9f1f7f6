"""What machine and processes take: measured, named as MLflow names it, and kept out of what judges a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from backends import system_metrics
from backends.entities import LaunchSpec, Run, RunStatus
from backends.local.command_process import CommandProcess
from backends.local.gpu_usage import GpuUsage
from backends.local.progress_lines import from_spool
from backends.local.progress_spool import SpoolWriter
from backends.local.run_folder import Ended, RunFolder
from backends.local.tree_usage import usage_of_descendants
from backends.local.usage_thread import LONGEST_S, UsageThread, pause_after
from console.axes import Across
from console.training.compare import compare
from console.training.measured import headline, in_order, shared_order, taken
from console.tui.chart_view import View, view_of
from console.tui.panes.run_detail import _names
from console.tui.run_columns import chosen_metrics
from console.tui.run_lines import run_lines, system_words

# ---------------------------------------------------------------- the processes below

BUSY = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"


def test_a_tree_is_measured_as_psutil_measures_it() -> None:
    block = "b = bytearray(60_000_000); b[::4096] = b'x' * len(b[::4096]); print('ready', flush=True); input()"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {block!r}])"
    process = subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        found = usage_of_descendants()
        theirs = {each.pid: each for each in psutil.Process().children(recursive=True)}
        assert process.pid in found.processes
        assert found.processes <= theirs.keys()
        assert len([pid for pid in found.processes if theirs[pid].ppid() == process.pid]) == 1, "grandchildren too"
        mine = sum(theirs[pid].memory_info().rss for pid in found.processes)
        assert found.memory == pytest.approx(mine, rel=0.1)
        assert found.memory > 60_000_000
    finally:
        process.communicate(b"\n")


def test_the_time_of_processes_that_ended_is_not_lost() -> None:
    before = usage_of_descendants().cpu_s
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY.format(0.3)!r}])"
    subprocess.run([sys.executable, "-c", inner], check=True)
    assert usage_of_descendants().cpu_s - before >= 0.29


# ---------------------------------------------------------------- the graphics cards, of a library as NVIDIA's


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


class FakeNvml:
    """The functions of `pynvml` that are used, with its signatures and units: bytes, milliwatts, percent."""

    NVMLError = NVMLError
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_ERROR_DRIVER_NOT_LOADED = 9
    NVML_ERROR_LIBRARY_NOT_FOUND = 12

    def __init__(self, cards: int = 2, init_error: int = 0) -> None:
        self.cards, self.init_error, self.open = cards, init_error, False
        self.powerless: set[int] = set()
        self.asked: list[str] = []

    def nvmlInit(self) -> None:
        if self.init_error:
            raise NVMLError(self.init_error)
        self.open = True

    def nvmlShutdown(self) -> None:
        self.open = False

    def nvmlDeviceGetCount(self) -> int:
        return self.cards

    def nvmlDeviceGetHandleByIndex(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(index=index)

    def nvmlDeviceGetMemoryInfo(self, handle: SimpleNamespace, version: object = None) -> SimpleNamespace:
        return SimpleNamespace(total=16_000_000_000, free=12_000_000_000, used=4_000_000_000)

    def nvmlDeviceGetUtilizationRates(self, handle: SimpleNamespace) -> SimpleNamespace:
        return SimpleNamespace(gpu=87 - handle.index, memory=20)

    def nvmlDeviceGetPowerUsage(self, handle: SimpleNamespace) -> int:
        self.asked.append(f"power {handle.index}")
        if handle.index in self.powerless:
            raise NVMLError(self.NVML_ERROR_NOT_SUPPORTED)
        return 150_000

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: SimpleNamespace) -> int:
        return 300_000

    def nvmlDeviceGetComputeRunningProcesses(self, handle: SimpleNamespace) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(pid=100 + handle.index, usedGpuMemory=1_500_000_000),
            SimpleNamespace(pid=999, usedGpuMemory=None),
        ]


def test_cards_are_told_by_mlflows_names_and_units(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml(cards=1)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    gpus = GpuUsage()
    ours = gpus.sample({100})
    assert ours == {
        "system/gpu_0_memory_usage_percentage": 25.0,
        "system/gpu_0_memory_usage_megabytes": 4000.0,
        "system/gpu_0_utilization_percentage": 87.0,
        "system/gpu_0_power_usage_watts": 150.0,
        "system/gpu_0_power_usage_percentage": 50.0,
        "system/run_gpu_0_memory_usage_megabytes": 1500.0,
    }
    gpus.close()
    assert not nvml.open
    # MLflow's own monitor over the same library.
    monitor = pytest.importorskip("mlflow.system_metrics.metrics.gpu_monitor")
    monkeypatch.setattr(monitor, "pynvml", nvml, raising=False)
    theirs = monitor.GPUMonitor()
    theirs.collect_metrics()
    assert {f"system/{name}": value for name, value in theirs.aggregate_metrics().items()} == {
        name: value for name, value in ours.items() if "/run_" not in name
    }


def test_a_card_that_cannot_tell_its_power_tells_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml()
    nvml.powerless.add(1)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    gpus = GpuUsage()
    for _ in range(2):
        found = gpus.sample()
        assert "system/gpu_0_power_usage_watts" in found
        assert "system/gpu_1_power_usage_watts" not in found
        assert found["system/gpu_1_utilization_percentage"] == 86.0
    assert nvml.asked.count("power 1") == 1, "it is not asked again"


@pytest.mark.parametrize(("error", "notes"), [(12, 0), (9, 0), (999, 1)])
def test_a_machine_without_a_driver_says_nothing_and_a_broken_one_says_so(
    monkeypatch: pytest.MonkeyPatch, error: int, notes: int
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(init_error=error))
    said: list[str] = []
    assert GpuUsage(said.append).sample() == {}
    assert len(said) == notes


def test_without_the_library_there_are_no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # type: ignore[arg-type]
    gpus = GpuUsage()
    assert gpus.sample() == {}
    gpus.close()


# ---------------------------------------------------------------- how often


def test_samples_are_near_at_first_and_never_far_apart_nor_endless() -> None:
    assert [pause_after(at, None) for at in (0, 60, 480)] == [2.0, 2.0, 2.0]
    assert pause_after(2400, None) == 10.0
    assert pause_after(1e7, None) == LONGEST_S
    assert [pause_after(at, 5.0) for at in (0, 1e7)] == [5.0, 5.0]
    assert pause_after(0, 0.001) == 1.0
    elapsed, samples = 0.0, 0
    while elapsed < 7 * 86_400:
        elapsed, samples = elapsed + pause_after(elapsed, None), samples + 1
    assert samples < 22_000, "of a week"


def watched(tmp_path: Path, **spec: object) -> tuple[UsageThread, SpoolWriter, Path]:
    folder = RunFolder(tmp_path / ("a" * 32))
    folder.path.mkdir()
    spool = SpoolWriter(folder.spool)
    folder.make_pipes()
    return (
        UsageThread(
            CommandProcess(folder), folder, LaunchSpec(run=folder.run, argv=("true",), **spec), spool, pytest.fail
        ),
        spool,
        folder.spool,
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("spec", [{"sample_s": 0.0}, {"control": True}])
def test_who_wants_no_samples_gets_none(tmp_path: Path, spec: dict[str, object]) -> None:
    thread, _, file = watched(tmp_path, **spec)
    thread.start()
    thread.finish(Ended(code=0, signal=None, cpu_s=1.0, max_rss=1))
    assert thread.ident is None
    assert file.read_bytes() == b""


def test_a_sample_goes_the_way_of_what_a_run_says(tmp_path: Path) -> None:
    thread, _, file = watched(tmp_path)
    memory = [psutil.virtual_memory()]
    thread.start()
    end = time.monotonic() + 120
    while not file.read_bytes() and time.monotonic() < end:
        time.sleep(0.05)
    memory.append(psutil.virtual_memory())
    thread.finish(Ended(code=0, signal=None, cpu_s=1e6, max_rss=10**15))
    reports = [from_spool(line)[1] for line in file.read_bytes().splitlines()]
    first, last = reports[0].metrics, reports[-1].metrics
    disk = pytest.importorskip("mlflow.system_metrics.metrics.disk_monitor").DiskMonitor()
    cpu = pytest.importorskip("mlflow.system_metrics.metrics.cpu_monitor").CPUMonitor()
    network = pytest.importorskip("mlflow.system_metrics.metrics.network_monitor").NetworkMonitor()
    for monitor in (disk, cpu, network):
        monitor.collect_metrics()
    theirs = {f"system/{name}" for monitor in (disk, cpu, network) for name in monitor.aggregate_metrics()}
    assert theirs == {name for name in first if "/run_" not in name}
    taken = [each.used / each.total * 100 for each in memory]  # others take and give back beside us
    assert min(taken) - 15 < first[system_metrics.MEMORY_PERCENT] < max(taken) + 15
    assert reports[0].step >= 1
    assert last == {"system/run_cpu_seconds": 1e6, "system/run_memory_peak_megabytes": 1e9}


def test_no_sample_takes_the_room_that_a_full_disk_has_left(tmp_path: Path) -> None:
    thread, spool, file = watched(tmp_path)
    spool.close()
    read_only = os.open(file, os.O_RDONLY)  # takes the number: every write fails
    spool.add(b"x" * 70_000)
    held = spool.pending
    thread.finish(Ended(code=0, signal=None, cpu_s=1.0, max_rss=1))
    assert spool.pending == held
    os.close(read_only)


# ---------------------------------------------------------------- what they do not count in

SYSTEM = {"system/cpu_utilization_percentage": 5.0, "system/run_cpu_seconds": 75.0,
          "system/run_memory_peak_megabytes": 512.0}  # fmt: skip


def a_run(**metrics: float) -> Run:
    return Run(id="r" * 32, name="r", experiment="e", status=RunStatus.FINISHED, created_at=1, metrics=SYSTEM | metrics)


def test_they_come_last_and_are_nobodys_headline() -> None:
    run = a_run(**{"zz": 1.0, "train.auc": 0.9})
    assert in_order(run) == ["zz", "train.auc", *sorted(SYSTEM)]
    assert headline(run) == "zz"
    assert headline(a_run()) == ""
    assert shared_order([run, a_run()]) == ["zz"]
    assert chosen_metrics([run], []) == ["zz"]


def test_nothing_is_best_at_them() -> None:
    compared = compare([a_run(loss=1.0), a_run(loss=2.0)])
    assert [row.key for row in compared.metrics] == ["loss", *sorted(SYSTEM)]
    assert [row.best for row in compared.metrics] == [(0,), (), (), ()]


def test_charts_show_them_to_whoever_goes_there_in_a_group_over_time() -> None:
    run = a_run(a=1.0, b=2.0)
    assert _names(run, "") == ["a", "b"]
    assert _names(run, "b") == ["b", "a"]
    first, second, third = sorted(SYSTEM)
    assert _names(run, second) == [second, third, first]
    assert view_of({}, "a").across is Across.STEP
    assert view_of({}, first).across is Across.ELAPSED
    assert view_of({first: View()}, first).across is Across.STEP


def test_in_the_facts_of_a_run_they_stand_by_themselves_with_names_that_fit() -> None:
    names = [name for name in vars(system_metrics).values() if isinstance(name, str) and name.startswith("system/")]
    assert len(names) > 10
    assert all(len(system_words(name)) <= 22 for name in names)
    assert system_words("system/gpu_0_power_usage_watts") == "gpu 0 power usage W"
    lines = ["".join(part for part, _ in line.spans).rstrip() for line in run_lines(a_run(auc=0.7), 60)]
    at = lines.index("system 3")
    assert [line.split("  ")[0] for line in lines[at + 1 : at + 4]] == [
        "cpu utilization %", "run cpu s", "run memory peak MB",
    ]  # fmt: skip
    assert lines.index("metrics 1") < at


def test_what_a_run_took_is_told_in_words() -> None:
    assert taken(a_run()) == [("cpu time", "75 s"), ("peak memory", "512 MB")]
