"""A real PostgreSQL of its own: a new cluster on a socket in a folder that no other user can enter."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

START_S = 180.0
_INSTALLED = Path("/usr/lib/postgresql")
_USERS = ("postgres", "nobody")
"""As one of them it is run where the tests are root, which PostgreSQL refuses to be."""
_SETTINGS = (
    "listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60",
    "shared_buffers=128MB", "max_wal_size=4GB", "timezone=UTC",
)  # fmt: skip


@dataclass
class PostgresServer:
    folder: Path
    process: subprocess.Popen[bytes]

    def uri(self, database: str, driver: str = "psycopg") -> str:
        """As SQLAlchemy writes it, and so `mlflow server --backend-store-uri`."""
        return f"postgresql+{driver}://{OWNER}@/{database}?host={self.folder}"

    def dsn(self, database: str = "postgres") -> str:
        """As psycopg takes it."""
        return f"postgresql://{OWNER}@/{database}?host={self.folder}"

    def create(self, database: str) -> str:
        """An empty database; its address for SQLAlchemy."""
        import psycopg

        with psycopg.connect(self.dsn(), autocommit=True) as db:
            db.execute(f'CREATE DATABASE "{database}"')
        return self.uri(database)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # "fast": sessions are ended, what is done is kept
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


OWNER = "mlflow"


def programs() -> Path | None:
    """Where `postgres` and `initdb` are, the newest that is installed; None where none is."""
    found = shutil.which("postgres")
    if found is not None and (Path(found).parent / "initdb").exists():
        return Path(found).parent
    installed = [
        each for each in _INSTALLED.glob("*/bin") if (each / "postgres").exists() and (each / "initdb").exists()
    ]
    return max(installed, key=lambda each: float(each.parent.name), default=None)


def absent() -> str:
    """Why there can be no PostgreSQL here; empty where there can."""
    if programs() is None:
        return "postgres and initdb are not installed (Debian: postgresql)"
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        return f"psycopg cannot be imported: {error}"
    if os.geteuid() == 0 and _user() is None:
        return f"PostgreSQL refuses to run as root, and there is no user {' or '.join(_USERS)}"
    return ""


def _user() -> pwd.struct_passwd | None:
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def start_postgres() -> PostgresServer:
    """A new cluster, sorted as a person's language is and not by bytes, as most are; nothing of it outlives `stop`."""
    where = programs()
    assert where is not None, absent()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has 107 bytes at most
    other: dict[str, object] = {}
    if os.geteuid() == 0 and (user := _user()) is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
        other = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data, log = folder / "data", folder / "log"
    made = subprocess.run(
        [
            str(where / "initdb"), "-D", str(data), "-U", OWNER, "--auth=trust", "--no-sync", "--encoding=UTF8",
            "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US",
        ],
        cwd=folder, capture_output=True, env=_environment(), check=False, **other,
    )  # fmt: skip
    if made.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise RuntimeError(f"initdb ended with {made.returncode}: {made.stderr[-2000:].decode('utf-8', 'replace')}")
    settings = [word for each in (*_SETTINGS, f"unix_socket_directories={folder}") for word in ("-c", each)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(where / "postgres"), "-D", str(data), *settings],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment(),
            start_new_session=True, **other,
        )  # fmt: skip
    server = PostgresServer(folder, process)
    try:
        _wait(server, log)
    except BaseException:
        server.stop()
        raise
    return server


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"TZ": "UTC"}


def _wait(server: PostgresServer, log: Path) -> None:
    import psycopg

    until = time.monotonic() + START_S
    while True:
        if server.process.poll() is not None:
            break
        try:
            psycopg.connect(server.dsn(), connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                break
            time.sleep(0.1)
    raise RuntimeError(f"PostgreSQL did not answer: {log.read_bytes()[-2000:].decode('utf-8', 'replace')}")
