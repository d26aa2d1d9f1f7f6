"""The accounting of a test's Slurm: slurmdbd over a MariaDB of its own, both on loopback alone.

Debian's `slurmdbd` and `mariadb-server` are wanted.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from tests.launcher.slurm_cluster import UP_S, SlurmCluster
from tests.ports import free_port

PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-admin", "slurmdbd", "sacct", "sacctmgr")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
PLUGIN = "slurm-wlm/accounting_storage_mysql.so"
CONF = """\
AuthType=auth/munge
AuthInfo=socket={socket}
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass={password}
StorageLoc=accounts
PidFile={home}/slurmdbd.pid
LogFile={home}/slurmdbd.log
CommunicationParameters=NoInAddrAny
"""


def missing() -> str:
    """Which programs are not here, or empty."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: slurmdbd, mariadb-server)"
    return "" if os.getuid() == 0 else "its database is set up as root"


class Accounts:
    """A Slurm that remembers: `cluster`, once started, tells slurmdbd of its jobs."""

    def __init__(self, home: Path) -> None:
        home.chmod(0o755)
        self.home = home
        self._database_port, self._port = free_port(), free_port()
        socket = home / "slurm" / "munge" / "socket"
        self.cluster = SlurmCluster(
            home / "slurm",
            accounting=f"AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\n"
            f"AccountingStoragePort={self._port}\nAccountingStoragePass={socket}",
        )
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self.cluster.begin("munged")
        self._database()
        self.begin_daemon()
        self._until(("sacctmgr", "-n", "-i", "add", "cluster", "lab"), "slurmdbd")
        self.cluster.begin("slurmctld")
        self.cluster.begin("slurmd")
        self.cluster.await_idle()

    def _database(self) -> None:
        data, socket = self.home / "data", self.home / "s"
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
             "--skip-test-db", "--user=root"], check=True, capture_output=True,
        )  # fmt: skip
        self._spawn(
            "mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={socket}", "--bind-address=127.0.0.1",
            f"--port={self._database_port}", "--user=root", "--innodb-log-file-size=16M",
        )  # fmt: skip
        client = ("--no-defaults", "-S", str(socket), "-u", "root")
        self._until(("mariadb-admin", *client, "ping"), "MariaDB")
        password = secrets.token_hex(8)
        subprocess.run(
            ["mariadb", *client, "-e",
             f"CREATE USER slurm@'127.0.0.1' IDENTIFIED BY '{password}'; GRANT ALL ON *.* TO slurm@'127.0.0.1'; "
             f"CREATE USER slurm@localhost IDENTIFIED BY '{password}'; GRANT ALL ON *.* TO slurm@localhost"],
            check=True, capture_output=True,
        )  # fmt: skip
        conf = self.cluster.home / "slurmdbd.conf"
        conf.touch(mode=0o600)
        conf.write_text(
            CONF.format(
                socket=self.cluster.socket, host=self.cluster.host, port=self._port, database=self._database_port,
                password=password, home=self.home,
            )
        )  # fmt: skip

    def begin_daemon(self) -> None:
        self._spawn("slurmdbd", "-D")

    def end_daemon(self) -> None:
        """The database is down."""
        daemon = self._running.pop()
        daemon.terminate()
        daemon.wait(30)

    def _spawn(self, program: str, *argv: str) -> None:
        found = shutil.which(program, path=PATH)
        assert found is not None
        with (self.home / f"{program}.out").open("ab") as out:
            self._running.append(
                subprocess.Popen(
                    [found, *argv],
                    env={**os.environ, **self.cluster.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            )  # fmt: skip

    def _until(self, command: tuple[str, ...], what: str) -> None:
        until = time.monotonic() + UP_S
        while time.monotonic() < until:
            done = subprocess.run(
                command, env={**os.environ, **self.cluster.environment}, capture_output=True, check=False, timeout=UP_S
            )
            if not done.returncode:
                return
            time.sleep(0.1)
        said = {each.name: each.read_text(errors="replace")[-1500:] for each in self.home.glob("*.out")}
        raise AssertionError(f"{what} did not come up: {said}")

    def stop(self) -> None:
        self.cluster.stop()
        for each in reversed(self._running):
            each.terminate()
            try:
                each.wait(20)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait(20)
