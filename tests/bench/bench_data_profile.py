"""Profile, pages, search and difference of 10 million rows × 20 columns, beside their budgets.

python -m tests.bench.bench_data_profile [FOLDER] [ROWS]

FOLDER keeps the generated versions between calls (two of about 1 GB).
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backends.contract import Mutation
from backends.entities import Column
from backends.local import open_local
from console.data.inference import column_type

GROUP = 1 << 16
ACTOR = Mutation(actor="bench@here")


def batch(rng: np.random.Generator, first: int, count: int, moved: bool) -> pa.RecordBatch:
    """20 columns as tables have them: numbers of all kinds, few and many texts, times, flags, missing values."""
    columns: dict[str, object] = {"id": np.arange(first, first + count)}
    for at in range(6):
        columns[f"number{at}"] = rng.normal(0.3 if moved and at == 0 else 0.0, 1 + at, count)
    for at in range(3):
        columns[f"sparse{at}"] = pa.array(rng.normal(size=count), mask=rng.random(count) < 0.05 * (at + 1))
    for at in range(3):
        columns[f"count{at}"] = rng.poisson(3 + 40 * at, count)
    columns["large"] = rng.integers(0, 1 << 40, count)
    columns["at"] = (1_370_000_000_000_000 + rng.integers(0, 10**13, count)).astype("M8[us]")
    columns["flag"] = rng.random(count) < 0.3
    carriers = np.array([f"C{at:02d}" for at in range(16)])
    columns["carrier"] = carriers[rng.integers(0, 16, count)]
    columns["town"] = np.array([f"town {at}" for at in range(3000)])[rng.zipf(1.4, count) % 3000]
    columns["key"] = np.char.mod("%012x", rng.integers(0, 1 << 44, count))
    columns["share"] = rng.beta(2, 5, count).round(3)
    return pa.RecordBatch.from_pydict(columns)


def make(workspace: Path, rows: int) -> None:
    backend = open_local(workspace)
    datasets = backend.need("datasets")
    for version, moved in ((1, False), (2, True)):
        path = workspace / "tmp" / "made.parquet"
        path.parent.mkdir(exist_ok=True)
        rng = np.random.default_rng(version)
        schema = batch(rng, 0, 1, moved).schema
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for first in range(0, rows, GROUP):
                writer.write_batch(batch(rng, first, min(GROUP, rows - first), moved), row_group_size=GROUP)
        columns = [Column(name=field.name, type=column_type(field.type)) for field in schema]
        datasets.add("big", path, digest=f"{version:064d}", rows=rows, columns=columns, source="bench", mutation=ACTOR)
    backend.close()


def worker(workspace: Path, *words: str) -> tuple[float, float, float]:
    """(wall s, CPU s, peak RSS MB) of the data worker on these words."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    code = (
        "import resource, sys; from console.data.worker import main; code = main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"local:{workspace}", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, spent, int(done.stderr.split()[-1]) / 1000


def tell(name: str, value: str, budget: str) -> None:
    sys.stdout.write(f"{name:44s} {value:>38s}   {budget}\n")
    sys.stdout.flush()


def figures(found: tuple[float, float, float]) -> str:
    return f"{found[0]:.1f} s wall, {found[1]:.1f} s CPU, {found[2]:.0f} MB"


def main(folder: Path, rows: int) -> None:
    workspace = folder / f"profile-{rows}"
    if not workspace.exists():
        make(workspace, rows)
    tell("work", "figure", "budget")
    for kept in (workspace / "profiles").glob("*"):
        kept.unlink()
    tell(f"profile of {rows:,} × 20", figures(worker(workspace, "profile", "big@1")), "20 s CPU, 1 500 MB")
    tell("the same again, kept", figures(worker(workspace, "profile", "big@1")), "at once")
    tell(f"difference of two of {rows:,} × 20", figures(worker(workspace, "diff", "big@1", "big@2")), "1 500 MB")
    pages(workspace, rows)


def pages(workspace: Path, rows: int) -> None:
    """Pages of 200 rows and searches, by the process that stays."""
    from console.data.reading import RowReader

    backend = open_local(workspace)
    reader = RowReader(backend)
    try:
        began = time.monotonic()
        reader.rows("big@1", 0, 200)
        tell("first page, its process started", f"{(time.monotonic() - began) * 1000:.0f} ms", "")
        took = []
        for at in np.random.default_rng(0).integers(0, rows - 200, 40).tolist():
            began = time.monotonic()
            reader.rows("big@1", at, 200)
            took.append((time.monotonic() - began) * 1000)
        tell("a page anywhere, median and worst of 40", f"{np.median(took):.0f} ms, {max(took):.0f} ms", "100 ms")
        began = time.monotonic()
        reader.rows("big@1", rows - 200, 200)
        tell("the last page", f"{(time.monotonic() - began) * 1000:.0f} ms", "100 ms")
        began = time.monotonic()
        reader.rows("big@1", rows - 400, 200)
        tell("the page before it", f"{(time.monotonic() - began) * 1000:.0f} ms", "100 ms")
        for text in ("number0 > 0.1 and carrier == 'C99'", "no such word", "-3.5"):
            began = time.monotonic()
            found = reader.find("big@1", text, 0)
            tell(f"search all rows for {text}", f"{time.monotonic() - began:.1f} s, {len(found.rows)} hits", "")
    finally:
        reader.close()
        backend.close()


if __name__ == "__main__":
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), size)
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made), size)
