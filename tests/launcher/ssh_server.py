"""A real sshd on loopback that lets one key in: the login node of a cluster, reached the way a person reaches it."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.ports import free_port

PRIVILEGES = Path("/run/sshd")
"""Where Debian's sshd wants an empty directory."""


def missing() -> str:
    """What is not here, or empty."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    absent = [name for name in ("sshd", "ssh", "ssh-keygen") if shutil.which(name, path=path) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: openssh-server, openssh-client)"
    if os.geteuid() != 0 and not PRIVILEGES.is_dir():
        return "sshd needs /run/sshd, and only root can make it"
    return ""


class SshServer:
    """Its own host key, its own user key, its own configuration for the client."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home = home
        self.port = free_port()
        self.user = getpass.getuser()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True, timeout=60
            )
        (home / "authorized").write_text((home / "user.pub").read_text())
        (home / "authorized").chmod(0o600)
        host = (home / "host.pub").read_text().split()[:2]
        (home / "known").write_text(f"[127.0.0.1]:{self.port} {' '.join(host)}\n")
        said = "".join(f"SetEnv {name}={value}\n" for name, value in environment.items() if name != "PATH")
        (home / "sshd.conf").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nPidFile {home}/pid\n"
            f"AuthorizedKeysFile {home}/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            f"PermitRootLogin prohibit-password\nMaxStartups 100\n{said}"
        )
        (home / "config").write_text(
            f"Host *\n  IdentityFile {home}/user\n  IdentitiesOnly yes\n  UserKnownHostsFile {home}/known\n"
            "  StrictHostKeyChecking yes\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> str:
        """The option `ssh` of a launcher that is let in."""
        return f"ssh -F {self.home}/config"

    def url(self, directory: Path) -> str:
        return f"slurm+ssh://{self.user}@127.0.0.1:{self.port}{directory}"

    def start(self) -> None:
        PRIVILEGES.mkdir(mode=0o755, exist_ok=True)
        program = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert program is not None
        with (self.home / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [program, "-D", "-e", "-f", str(self.home / "sshd.conf")], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((self.home / "out").read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None
