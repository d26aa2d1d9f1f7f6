"""What a console costs while nobody presses a key: `python -m tests.bench.bench_idle [RUNS]`.

The real program in a terminal, a pane each, before a real MLflow on a real PostgreSQL; a proxy of its own counts what
each asks. A minute after the last key, when somebody may be looking, and a minute after `AWAY`, when nobody seems to be
there: requests, kilobytes both ways, CPU of the console, bytes to the terminal, beside the budget.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from console.tui.app import AWAY
from tests.counting_proxy import CountingProxy
from tests.mlflow_fill_postgres import fill_models, fill_runs
from tests.mlflow_server import start_mlflow
from tests.postgres_server import absent, start_postgres
from tests.terminal.terminal import Terminal

PANES: Final = {"overview": "IN PRODUCTION", "runs": "run-", "models": "model-", "journal": "Journal"}
"""And what stands there once it is filled."""
LOOKING: Final = "36 requests, 2400 kB, 600 ms"
"""Of a minute: 3 requests and 200 kB a refresh, one every five seconds, and 1 % of a core."""
ALONE: Final = "6 requests, 400 kB, 120 ms"
"""As much a refresh, one every half minute, and 0.2 % of a core."""
MINUTE_S: Final = 60.0


class Spent(NamedTuple):
    cpu: float
    written: int


def main(runs: int = 5_000) -> None:
    if absent():
        raise SystemExit(absent())
    postgres = start_postgres()
    try:
        with tempfile.TemporaryDirectory() as made:
            (Path(made) / "mlflow").mkdir()
            server = start_mlflow(Path(made) / "mlflow", store=postgres.create("mlflow"))
            try:
                fill_runs(postgres.dsn("mlflow"), runs)
                fill_models(
                    postgres.dsn("mlflow"), 60, 1_500, champions=40, challengers=10, large=400, runs=runs * 9 // 10
                )
                idle_minutes(server.url, Path(made))
            finally:
                server.stop()
    finally:
        postgres.stop()


def idle_minutes(url: str, folder: Path) -> None:
    """All panes at once, each a console."""
    proxies = {pane: CountingProxy(url) for pane in PANES}
    consoles = {pane: _begun(pane, proxies[pane], folder) for pane in PANES}
    try:
        for pane, said in PANES.items():
            consoles[pane].wait(said, 120)
        _pass(consoles, 15.0)
        print(
            f"{'a minute without a key':<26}{'requests':>9}{'kB':>8}{'CPU ms':>8}{'B written':>10}   budget", flush=True
        )
        since = time.monotonic()
        _minute(consoles, proxies, "looked at", LOOKING)
        _pass(consoles, AWAY + 30.0 - (time.monotonic() - since))
        _minute(consoles, proxies, "left alone", ALONE)
    finally:
        for each in consoles.values():
            each.__exit__()
        for proxy in proxies.values():
            proxy.stop()


def _begun(pane: str, proxy: CountingProxy, folder: Path) -> Terminal:
    home = folder / f"idle-{pane}"
    home.mkdir()
    config = home / "config.toml"
    config.write_text(f'[contexts.prod]\nregistry = "mlflow+{proxy.url}"\nworkspace = "{home / "sidecar"}"\n')
    env = {"MLOPS_CONSOLE_CONFIG": str(config), "XDG_DATA_HOME": str(home / "data")}
    return Terminal("--context", "prod", pane, size=(120, 40), env=env)


def _minute(consoles: dict[str, Terminal], proxies: dict[str, CountingProxy], how: str, budget: str) -> None:
    before = {pane: _spent(each) for pane, each in consoles.items()}
    for proxy in proxies.values():
        proxy.taken()
    _pass(consoles, MINUTE_S)
    for pane, each in consoles.items():
        tally, was, now = proxies[pane].taken(), before[pane], _spent(each)
        asked = f"{tally.requests:>9}{tally.bytes / 1e3:>8.0f}"
        spent = f"{(now.cpu - was.cpu) * 1e3:>8.0f}{now.written - was.written:>10}"
        print(f"{f'{pane}, {how}':<26}{asked}{spent}   {budget}", flush=True)


def _spent(console: Terminal) -> Spent:
    times = psutil.Process(console.pid).cpu_times()
    return Spent(times.user + times.system, len(console.written))


def _pass(consoles: dict[str, Terminal], seconds: float) -> None:
    """Let time go by, and take in what they write."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for each in consoles.values():
            each.read(0.1)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:2]))
