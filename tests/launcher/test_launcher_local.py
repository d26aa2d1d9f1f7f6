"""The launcher suite on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil
import pytest

from backends.entities import Needs
from console.agent import ensure_protocol
from tests.launcher.bench import ME, Bench, until
from tests.launcher.suite import LauncherSuite
from tests.processes import gone


class LocalBench(Bench):
    def listing(self, run: str) -> str:
        files = [
            each.read_text("utf-8", "replace")
            for each in (self.workspace / "runs" / run).iterdir()
            if each.suffix == ".json"
        ]
        return "\n".join([*files, *(" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"]))])

    def break_node(self, run: str) -> None:
        found = []
        for each in psutil.process_iter():
            try:
                mine = each.environ().get("MLOPS_CONSOLE_RUN") == run or run in " ".join(each.cmdline())
            except psutil.Error:
                continue
            if mine or any(run in str(argument) for argument in (self._cwd(each),)):
                found.append(each)
        for each in found:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended with the one before it
                each.kill()
        until(lambda: all(map(gone, found)), "their end")

    def crash(self) -> None:
        self.kill_agent()

    def revive(self) -> None:
        ensure_protocol(self.workspace)

    @staticmethod
    def _cwd(process: psutil.Process) -> str:
        try:
            return process.cwd()
        except psutil.Error:
            return ""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    workspace = tmp_path_factory.mktemp("local") / "workspace"
    config = workspace.parent / "config.toml"
    config.write_text(f'[contexts.here]\nworkspace = "{workspace}"\ncapacity = {{ gpu = 1, runs = 4 }}\n')
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLOPS_CONSOLE_CONFIG", str(config))
        made = LocalBench(workspace)
        holder = made.submit("sleep", "1000", needs=Needs(gpu=1), name="who has the card")
        yield made
        made.launcher.cancel(holder, ME)
        made.wait(holder)
        made.close()


class TestLocal(LauncherSuite):
    pass
