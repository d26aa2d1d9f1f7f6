"""A whole Slurm of one node in a directory: its own munge key and socket, its own ports, loopback only.

Debian's `slurm-wlm` and `munge` are wanted. Nothing of the machine's own Slurm, if it has one, is touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.ports import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "scontrol")
UP_S = 180.0

CONF = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={socket}
CryptoType=crypto/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={control}
SlurmdPort={node}
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=10000,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=1
MinJobAge={min_job_age}
KillWait=5
SlurmdTimeout=30
InactiveLimit=0
MaxArraySize=2001
OverTimeLimit=0
JobAcctGatherType=jobacct_gather/none
{accounting}
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=work Nodes={host} Default=YES MaxTime=INFINITE State=UP DefMemPerCPU=100
PartitionName=small Nodes={host} MaxTime=5 State=UP DefMemPerCPU=100
"""


NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none"


def missing() -> str:
    """Which programs are not here, or empty."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    absent = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    return f"{', '.join(absent)} not installed (Debian: slurm-wlm, munge)" if absent else ""


class SlurmCluster:
    """munged, slurmctld and slurmd, each of which can be killed and started again."""

    def __init__(self, home: Path, *, cpus: int = 2, min_job_age: int = 300, accounting: str = NO_ACCOUNTING) -> None:
        self.home = home
        self.host = socket.gethostname().split(".")[0]
        self.path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "spool", "munge"):
            (home / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        home.chmod(0o755)
        key = home / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.socket = home / "munge" / "socket"
        self.conf = home / "slurm.conf"
        import getpass

        self.conf.write_text(
            CONF.format(
                host=self.host,
                user=getpass.getuser(),
                socket=self.socket,
                control=free_port(),
                node=free_port(),
                home=home,
                cpus=cpus,
                min_job_age=min_job_age,
                accounting=accounting,
            )
        )

    @property
    def environment(self) -> dict[str, str]:
        """By which Slurm's programs find this one."""
        return {"SLURM_CONF": str(self.conf), "PATH": self.path}

    def start(self) -> None:
        self.begin("munged")
        self._until(self.socket.exists, "munged")
        self.begin("slurmctld")
        self.begin("slurmd")
        self.await_idle()

    def await_saved(self) -> None:
        """Until the controller has on disk what it was told before this moment: it writes within some seconds of a
        change. Where it wrote nothing for longer, there was nothing left to write."""
        asked, state = time.time(), self.home / "state" / "job_state"
        self._until(lambda: state.stat().st_mtime > asked or time.time() > asked + 15, "the controller's state")

    def await_idle(self) -> None:
        """Until its node takes jobs."""

        def takes() -> bool:
            states = self.run("sinfo", "-h", "-o", "%T", check=False).split()
            return bool(states) and set(states) <= {"idle", "mixed", "allocated"}

        self._until(takes, "the node")

    def begin(self, name: str) -> None:
        place = self.home / "munge"
        command = {
            "munged": [
                "munged", "--foreground", "--force", f"--socket={self.socket}", f"--key-file={place / 'key'}",
                f"--pid-file={place / 'pid'}", f"--log-file={place / 'log'}", f"--seed-file={place / 'seed'}",
            ],
            "slurmctld": ["slurmctld", "-D", "-f", str(self.conf)],
            "slurmd": ["slurmd", "-D", "-f", str(self.conf), "-N", self.host],
        }[name]  # fmt: skip
        program = shutil.which(command[0], path=self.path)
        assert program is not None
        with (self.home / f"{name}.out").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                [program, *command[1:]], env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True,
            )  # fmt: skip

    def forget(self) -> None:
        """The controller is begun anew without what it had kept: it knows of no job."""
        self.kill("slurmctld")
        shutil.rmtree(self.home / "state")
        (self.home / "state").mkdir(mode=0o755)
        self.begin("slurmctld")
        self.await_idle()

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(30)

    def run(self, *argv: str, check: bool = True) -> str:
        done = subprocess.run(argv, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise AssertionError(f"{argv}: {done.stderr}")
        return done.stdout

    def stop(self) -> None:
        if "slurmctld" in self.processes:
            subprocess.run(
                ["scancel", "--user", str(os.getuid()), "--signal=KILL", "--full"],
                env={**os.environ, **self.environment}, capture_output=True, timeout=30, check=False,
            )  # fmt: skip
        for name in ("slurmd", "slurmctld", "munged"):
            process = self.processes.pop(name, None)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def _until(self, true: object, what: str) -> None:
        until = time.monotonic() + UP_S
        while time.monotonic() < until:
            if true():  # type: ignore[operator]
                return
            time.sleep(0.1)
        said = {each.name: each.read_text(errors="replace")[-1500:] for each in self.home.glob("*.out")}
        raise AssertionError(f"{what} did not come up: {said}")
