"""What a transform costs on ten million rows of twenty columns, and on one record.

python -m tests.bench.bench_data_transform [ROWS]

Each verb runs in a process of its own; its CPU time and its largest resident size are the kernel's. The data is about
1.5 GB and goes away afterwards.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROWS = 10_000_000
RECIPE = """
name = "bench"
labels = ["y"]
[[step]]
do = "split"
key = ["id"]
parts = { train = 0.8, test = 0.2 }
[[step]]
do = "impute"
columns = ["f0", "f1", "f2", "f3", "f4", "f5"]
with = "median"
[[step]]
do = "standardise"
columns = ["f0", "f1", "f2", "f3", "f6", "f7"]
[[step]]
do = "bucket"
columns = ["f8"]
bins = 10
[[step]]
do = "onehot"
columns = ["c0"]
[[step]]
do = "ordinal"
columns = ["c1"]
[[step]]
do = "target"
columns = ["c2", "c3"]
target = "y"
[[step]]
do = "derive"
column = "ratio"
as = "f4 / f5"
"""
DEDUPE = '[[step]]\ndo = "dedupe"\n'


def generate(path: Path, rows: int) -> None:
    """Nine floats, four whole numbers, five texts, a boolean label and an id."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    writer = None
    for first in range(0, rows, 500_000):
        n = min(500_000, rows - first)
        columns = {"id": np.arange(first, first + n)}
        for at in range(9):
            values = rng.normal(at, 1 + at, n).round(3)
            columns[f"f{at}"] = pa.array(values, mask=rng.random(n) < (0.05 if at < 6 else 0))
        for at in range(4):
            columns[f"n{at}"] = rng.integers(0, 1_000, n)
        for at, levels in enumerate((12, 100, 1_000, 5_000, 20_000)):
            words = np.array([f"level {level:05}" for level in range(levels)])
            columns[f"c{at}"] = pa.array(words[rng.integers(0, levels, n)])
        columns["y"] = rng.random(n) < 0.2
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    assert writer is not None
    writer.close()


def work(verb: str, folder: Path) -> None:
    """In the process that is measured."""
    from backends.contract import Mutation
    from backends.local import open_local
    from console.data.importing import import_file
    from console.data.transform.reading import parse_recipe
    from console.data.transform.run import apply_transform, transform_version

    backend = open_local(folder / "workspace")
    datasets, definitions, staging = backend.need("datasets"), backend.need("definitions"), folder / "tmp"
    mutation = Mutation(actor="bench", reason="bench")
    if verb == "import":
        import_file(datasets, folder / "data.parquet", "data", mutation, staging=staging)
    elif verb == "use":
        apply_transform(datasets, definitions, "data", "bench", mutation, staging=staging)
    else:
        text = DEDUPE if verb == "dedupe" else RECIPE
        transform_version(datasets, definitions, "data", parse_recipe(text, verb, verb), mutation, staging=staging)
    used = resource.getrusage(resource.RUSAGE_SELF)
    sys.stdout.write(f"{used.ru_utime + used.ru_stime:.1f} {used.ru_maxrss // 1024}\n")


def record(folder: Path) -> tuple[float, float]:
    """Median and 95th percentile of one record, in milliseconds."""
    from backends.local import open_local
    from console.data.transform.record import RecordTransform

    backend = open_local(folder / "workspace")
    transform = RecordTransform(backend.need("definitions").get("transform", "bench"), backend.need("datasets"))
    one = {"id": 1, **{f"f{at}": 0.5 for at in range(9)}, **{f"n{at}": 7 for at in range(4)}}
    one |= {f"c{at}": "level 00003" for at in range(5)} | {"f2": None}
    took = []
    for _ in range(2_000):
        began = time.process_time()
        transform.one(one)
        took.append((time.process_time() - began) * 1000)
    return float(np.median(took)), float(np.quantile(took, 0.95))


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        generate(folder / "data.parquet", rows)
        size = (folder / "data.parquet").stat().st_size / 1e6
        sys.stdout.write(f"{rows:,} rows × 20 columns, {size:,.0f} MB\n{'verb':12s} {'CPU s':>8s} {'RSS MB':>8s}\n")
        for verb in ("import", "fit", "use", "dedupe"):
            line = [sys.executable, "-m", "tests.bench.bench_data_transform", verb, str(folder)]
            out = subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()
            sys.stdout.write(f"{verb:12s} {out[0]:>8s} {out[1]:>8s}   {'1500 MB':>8s}\n")
            sys.stdout.flush()
        median, most = record(folder)
        sys.stdout.write(f"one record: {median:.2f} ms CPU, 95 % within {most:.2f} ms   (2 ms)\n")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        work(sys.argv[1], Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
