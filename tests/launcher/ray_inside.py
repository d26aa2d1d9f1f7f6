"""Runs as the first process of a network and process namespace: a Ray head, its workers, and the ways in and out.

`python ray_inside.py FOLDER VENV`: a head with 2 CPUs and one `slot`. Ray listens on every address it finds, so there
is only loopback here. Says `begun`, then takes orders on stdin, and says `done` after each: `node 1`, a worker with one
CPU, one `far1` and two `spread`; `kill 1`, `kill head`; `head`, another one, which
asks for no token; `tend`, begin again those that have not come up.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from bridge import Bridge, listen_tcp, listen_unix, tcp, unix

AGENT_PORT = 5055
GUARD = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")


def main() -> None:
    folder, venv = Path(sys.argv[1]), Path(sys.argv[2])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Bridge(listen_unix(str(folder / "head.sock")), lambda: tcp(8265))
    Bridge(listen_tcp(AGENT_PORT), lambda: unix(str(folder / "agent.sock")))
    environment = {
        **{key: value for key, value in os.environ.items() if key not in GUARD},
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}", "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1", "PYTHONPATH": "",
        # A node that is gone refuses at once, and is asked five times; one that is slow has its 10 s each time.
        "RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "500",
    }  # fmt: skip
    log = (folder / "ray.log").open("ab")

    def start(number: int, *argv: str) -> subprocess.Popen[bytes]:
        """Ports of its own: Ray takes each node for a machine of its own, and has it choose among the same."""
        base = 20_000 + 1_000 * number
        ports = ("node-manager", "object-manager", "metrics-export", "runtime-env-agent", "dashboard-agent-grpc",
                 "dashboard-agent-listen")  # fmt: skip
        own = [f"--{name}-port={base + at}" for at, name in enumerate(ports)]
        made = subprocess.Popen(
            [venv / "bin" / "ray", "start", "--node-ip-address=127.0.0.1", "--object-store-memory=80000000",
             "--disable-usage-stats", "--block", f"--min-worker-port={base + 100}", f"--max-worker-port={base + 999}",
             *own, *argv],
            env=environment | guard, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        with contextlib.suppress(OSError):  # before others: it gives up where it is not up within 15 s
            Path(f"/proc/{made.pid}/autogroup").write_text("-10")
        return made

    def head() -> subprocess.Popen[bytes]:
        return start(
            0, "--head", "--dashboard-host=127.0.0.1", "--num-cpus=2", '--resources={"slot": 1}',
            f"--temp-dir={folder / 't'}",
        )  # fmt: skip

    def worker(number: int) -> subprocess.Popen[bytes]:
        offered = json.dumps({f"far{number}": 1, "spread": 2})
        return start(
            number, "--address=127.0.0.1:6379", "--num-cpus=1", f"--resources={offered}",
        )  # fmt: skip

    guard = {key: os.environ[key] for key in GUARD if key in os.environ}
    running = {"head": head()}
    print("begun", flush=True)
    for line in sys.stdin:
        match line.split():
            case ["head"]:
                guard.clear()
                running["head"] = head()
            case ["node", number]:
                running[number] = worker(int(number))
            case ["kill", name]:
                end(running.pop(name))
            case ["tend"]:
                for name in [name for name, process in running.items() if process.poll() is not None]:
                    running[name] = head() if name == "head" else worker(int(name))
            case _:
                break
        print("done", flush=True)


def end(node: subprocess.Popen[bytes]) -> None:
    """Without a word, and whatever it started: some of Ray's processes are of sessions of their own."""
    for each in [*below(node.pid), node.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    node.wait()


def below(parent: int) -> list[int]:
    """Processes that it started, and those that these started."""
    parents = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parents[int(each.name)] = int((each / "stat").read_text().rpartition(")")[2].split()[1])
    found = [parent]
    for each in found:
        found += [child for child, of in parents.items() if of == each]
    return found[1:]


if __name__ == "__main__":
    main()
