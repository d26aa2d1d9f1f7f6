"""What the console costs MLflow on PostgreSQL: 100 000 runs, 500 models, 10 000 versions, 3 000 of them of one model.
`python -m tests.bench.bench_mlflow_postgres [RUNS]`.

A real PostgreSQL of its own, a real `mlflow server` on it with one worker, a counting proxy before that. First every
view as `bench_remote` measures it: its opening, then refreshes in the steady state beside the budget of 3 requests and
200 kB. Then what the adapter is asked for by keys and by the command line: requests, kilobytes, how many waited for one
another, seconds in all and of these the server's. At last a minute without a key, and our memory.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backends.connect import connect
from backends.contract import END, Backend, Mutation
from backends.entities import ModelFile, RunStatus, Signature
from backends.query import MODEL_FIELDS, RUN_FIELDS, parse
from console.promotion.promote import promote
from console.promotion.rollback import rollback
from tests.bench.bench_idle import idle_minutes
from tests.bench.bench_remote import costs
from tests.counting_proxy import CountingProxy
from tests.mlflow_fill_postgres import fill_models, fill_runs
from tests.mlflow_server import start_mlflow
from tests.postgres_server import absent, start_postgres

RUNS, MODELS, VERSIONS, LARGE = 100_000, 500, 10_000, 3_000
ANN = Mutation("bench", reason="bench")


def main(runs: int = RUNS) -> None:
    if absent():
        raise SystemExit(absent())
    postgres = start_postgres()
    try:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            (folder / "mlflow").mkdir()
            server = start_mlflow(folder / "mlflow", store=postgres.create("mlflow"))
            try:
                began = time.monotonic()
                fill_runs(postgres.dsn("mlflow"), runs)
                fill_models(
                    postgres.dsn("mlflow"), MODELS, VERSIONS, champions=400, challengers=100, large=LARGE,
                    runs=min(runs, RUNS) * 9 // 10,
                )  # fmt: skip
                print(f"filled in {time.monotonic() - began:.0f} s", flush=True)
                measure(server.url, folder, runs)
            finally:
                server.stop()
    finally:
        postgres.stop()


def measure(url: str, folder: Path, runs: int) -> None:
    proxy = CountingProxy(url)
    for each in ("views", "asked", "idle"):
        (folder / each).mkdir()
    try:
        asyncio.run(costs(proxy, folder / "views", runs))
        _asked(proxy, folder / "asked", runs)
        idle_minutes(url, folder / "idle")
    finally:
        proxy.stop()
    print(f"our memory at its most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def _asked(proxy: CountingProxy, folder: Path, runs: int) -> None:
    backend = connect("prod", f"mlflow+{proxy.url}", sidecar=folder, options={"timeout": "120"})
    try:
        backend.need("runs").page(limit=50)
        print(f"{'asked of the adapter':<40}{'requests':>9}{'kB':>8}{'chain':>6}{'s':>7}{'server s':>9}")
        for what, call in _questions(backend, runs):
            proxy.taken()
            began = time.monotonic()
            call()
            took, tally = time.monotonic() - began, proxy.taken()
            theirs = sum(one.ended - one.began for one in tally.passed)
            print(
                f"{what:<40}{tally.requests:>9}{tally.bytes / 1e3:>8.0f}{tally.chain:>6}{took:>7.2f}{theirs:>9.2f}",
                flush=True,
            )
    finally:
        backend.close()


def _questions(backend: Backend, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    runs, registry = backend.need("runs"), backend.need("registry")

    def page(query: str = "", at: str = "") -> Callable[[], object]:
        return lambda: runs.page(parse(query, RUN_FIELDS), at=at, limit=50)

    yield "runs, newest", page()
    yield "runs, a jump to the middle", page(at=f"#{count // 2}")
    yield "runs, the end", page(at=END)
    yield "runs, the end again", page(at=END)
    yield "runs counted", lambda: runs.count(limit=10_000_000)
    for order in ("metrics.auc desc", "metrics.loss asc", "name asc", "duration desc"):
        yield f"runs by {order}", page(f"order by {order}")
        yield f"runs by {order}, again", page(f"order by {order}")
    for text in ("params.optimizer = '9'", "metrics.auc > 0.9", "name ~ 'run-12'", "status = failed"):
        yield f"runs where {text}", page(text)
    newest = runs.page(limit=2).items
    yield "one run", lambda: runs.get(newest[0].id)
    yield "a course", lambda: runs.series(newest[0].id, "auc")
    yield "two runs compared", lambda: [runs.get(run.id) for run in newest]
    models = registry.page(limit=100).items
    yield "models, first page", lambda: registry.page(limit=100)
    yield "their champions, first look", lambda: registry.holders(models, "champion")
    yield "their champions, next look", lambda: registry.holders(models, "champion")
    yield "models by name ~ 9", lambda: registry.page(parse("name ~ '9'", MODEL_FIELDS), limit=100)
    yield f"versions of {LARGE}, first page", lambda: registry.versions("model-00", limit=100)
    run = runs.create(name="bench", experiment="exp-1", mutation=ANN).id
    runs.start(run)
    runs.end(run, RunStatus.FINISHED)
    held = registry.get("model-00").aliases["champion"]
    first, second = (
        registry.register("model-00", run=run, file=ModelFile(), signature=Signature(), mutation=ANN).version
        for _ in range(2)
    )
    yield "promote", lambda: promote(backend, "model-00", first, "champion", ANN, expected=held, override=True)
    yield "promote the next", lambda: promote(backend, "model-00", second, "champion", ANN, expected=first)
    yield "roll back", lambda: rollback(backend, "model-00", "champion", ANN, expected=second)


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:2]))
