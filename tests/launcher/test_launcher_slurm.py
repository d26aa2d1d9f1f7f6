"""The launcher suite on a real Slurm: from its login node, and over ssh from a machine that shares nothing with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.entities import LauncherRef, Needs, RunStatus
from backends.local.protocol_access import last_presence
from tests.launcher import ssh_server
from tests.launcher.bench import Bench
from tests.launcher.slurm_cluster import SlurmCluster
from tests.launcher.slurm_lab import slurm
from tests.launcher.ssh_server import SshServer
from tests.launcher.suite import SAYING, LauncherSuite

__all__ = ["slurm"]


class SlurmBench(Bench):
    engine = "slurm"
    beyond = Needs(cpu=64)
    waits = "can never begin"
    parallel = 2

    cluster: SlurmCluster
    login: SshServer | None = None

    def listing(self, run: str) -> str:
        number = self.cluster.run("squeue", "-h", "-t", "all", "-o", "%A %k").splitlines()
        job = next(line.split()[0] for line in number if run in line)
        return "\n".join(
            [
                self.cluster.run("scontrol", "show", "job", job),
                self.cluster.run("squeue", "--json"),
                self.cluster.run("scontrol", "write", "batch_script", job, "-", check=False),
            ]
        )

    def break_node(self, run: str) -> None:
        self.cluster.run("scontrol", "update", f"nodename={self.cluster.host}", "state=down", "reason=smoke")
        self.cluster.run("scontrol", "update", f"nodename={self.cluster.host}", "state=resume")
        self.cluster.await_idle()

    def crash(self) -> None:
        self.cluster.await_saved()
        self.cluster.kill("slurmctld")

    def revive(self) -> None:
        self.cluster.begin("slurmctld")
        self.cluster.await_idle()

    def cut(self) -> None:
        if self.login is not None:
            self.login.stop()
        else:
            self.crash()

    def mend(self) -> None:
        if self.login is not None:
            self.login.start()
        else:
            self.revive()


@pytest.fixture(scope="module")
def bench(slurm: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    home = tmp_path_factory.mktemp("login-node")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLOPS_CONSOLE_CONFIG", str(home / "none.toml"))
        made = SlurmBench(home / "workspace", LauncherRef(url=f"slurm:{home / 'shared'}"))
        made.cluster = slurm
        yield made
        made.close()


class TestSlurm(LauncherSuite):
    pass


@pytest.fixture(scope="module")
def apart(slurm: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmBench]:
    """From a machine that reaches the login node by ssh alone; jobs reach its agent by the protocol."""
    if why := ssh_server.missing():
        pytest.skip(why)
    home = tmp_path_factory.mktemp("elsewhere")
    login = SshServer(home / "sshd", slurm.environment)
    login.start()
    workspace = home / "workspace"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLOPS_CONSOLE_CONFIG", str(home / "config.toml"))
        Bench(workspace).close()  # the port that its agent serves on is the same from now on
        server = last_presence(workspace)
        assert server is not None
        ref = LauncherRef(
            url=login.url(home / "o'er there").replace(" ", "%20"),
            options={"ssh": login.client, "agent": server.url, "python": sys.executable, "partition": "work"},
        )
        pairs = ", ".join(f'{key} = "{value}"' for key, value in ref.options.items())
        (home / "config.toml").write_text(
            f'[contexts.there]\nworkspace = "{workspace}"\nlauncher = "{ref.url}"\nlauncher_options = {{ {pairs} }}\n'
        )
        made = SlurmBench(workspace, ref)
        made.cluster, made.login, made.ships = slurm, login, True
        yield made
        made.close()
    login.stop()


class TestOverSsh:
    def test_files_go_there_once_and_come_back(self, apart: SlurmBench, tmp_path: Path) -> None:
        (tmp_path / "task.py").write_text("print(open('data.txt').read())")
        (tmp_path / "data.txt").write_text("from here")
        for run in [apart.submit(sys.executable, str(tmp_path / "task.py"), cwd=str(tmp_path)) for _ in range(2)]:
            ended = apart.wait(run)
            assert ended.status is RunStatus.FINISHED, (ended.reason, apart.log(run))
            assert "from here" in apart.log(run)
        assert len(list(apart.workspace.parent.glob("o'er there/parts/*"))) == 1
        run = apart.script(SAYING)
        ended = apart.wait(run)
        assert (ended.status, ended.metrics["loss"]) == (RunStatus.FINISHED, 0.2), apart.log(run)
        assert apart.backend.need("artifacts").open(run, "deep/model.txt").read_text() == "the model"

    test_the_way_there_is_lost_for_a_while = LauncherSuite.test_the_way_to_it_is_lost_for_a_while

    @pytest.fixture
    def bench(self, apart: SlurmBench) -> Bench:
        return apart
