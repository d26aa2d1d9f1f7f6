"""Runs as the first process of a network and process namespace: a Ray head, a worker node, and the ways in and out.

`python ray_inside.py FOLDER VENV`: a head with 2 CPUs and one `slot`, and a node with 1 CPU. Ray listens on every
address it finds, so there is only loopback here. Says `ready`, then takes orders on stdin: `kill-node`, `end`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from bridge import Bridge, listen_tcp, listen_unix, tcp, unix

AGENT_PORT = 5055


def main() -> None:
    folder, venv = Path(sys.argv[1]), Path(sys.argv[2])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Bridge(listen_unix(str(folder / "head.sock")), lambda: tcp(8265))
    Bridge(listen_tcp(AGENT_PORT), lambda: unix(str(folder / "agent.sock")))
    environment = {
        **os.environ, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}", "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1", "PYTHONPATH": "",
    }  # fmt: skip
    common = ["--disable-usage-stats", "--block"]
    with (folder / "ray.log").open("ab") as log:
        nodes = [
            subprocess.Popen(
                [venv / "bin" / "ray", "start", "--head", "--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1",
                 "--num-cpus=2", '--resources={"slot": 1}', f"--temp-dir={folder / 't'}",
                 "--object-store-memory=80000000", *common],
                env=environment, stdout=log, stderr=log, start_new_session=True,
            )
        ]  # fmt: skip
        print("begun", flush=True)
        for line in sys.stdin:
            match line.split():
                case ["node"]:
                    nodes.append(
                        subprocess.Popen(
                            [venv / "bin" / "ray", "start", "--address=127.0.0.1:6379", "--num-cpus=1",
                             "--node-ip-address=127.0.0.1", '--resources={"far": 1}',
                             "--dashboard-agent-listen-port=52366",
                             "--object-store-memory=80000000", *common],
                            env=environment, stdout=log, stderr=log, start_new_session=True,
                        )
                    )  # fmt: skip
                    print("begun", flush=True)
                case ["kill-node"]:
                    node = nodes.pop()
                    os.killpg(node.pid, signal.SIGKILL)
                    print("killed", flush=True)
                case ["kill-head"]:
                    os.killpg(nodes[0].pid, signal.SIGKILL)
                    print("killed", flush=True)
                case _:
                    break


if __name__ == "__main__":
    main()
