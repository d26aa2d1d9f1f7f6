"""What an import costs: 10 million rows × 20 columns of Parquet, and a fifth of it as CSV, each in its own process.

python -m tests.bench.bench_data_import [ROWS]       (2.5 GB in the temporary folder meanwhile)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

ROWS = 10_000_000
CHUNK = 500_000
RSS_BUDGET = "1.5 GB"

SCRIPT = """
import re, sys, time
from pathlib import Path
from backends.contract import Mutation
from backends.local import open_local
from console.data.importing import import_file
home = Path(sys.argv[1])
began, cpu = time.perf_counter(), time.process_time()
store = open_local(home).datasets
version, _ = import_file(store, Path(sys.argv[2]), "big", Mutation(actor="bench"), staging=home / "tmp")
wall, cpu = time.perf_counter() - began, time.process_time() - cpu
# not ru_maxrss, which a child inherits from the process that started it
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024
print(version.rows, wall, cpu, peak)
"""


def chunk(first: int, rows: int) -> pa.Table:
    """Twenty columns as tables have them: ids, times, categories, measurements with holes, text."""
    rng = np.random.default_rng(first)
    columns: dict[str, object] = {
        "id": np.arange(first, first + rows),
        "at": pa.array((1_357_000_000 + np.arange(first, first + rows)) * 1_000_000, pa.timestamp("us")),
        "carrier": np.array(["UA", "AA", "B6", "DL", "EV"])[rng.integers(0, 5, rows)],
        "late": pa.array(rng.random(rows) < 0.2),
        "text": pa.array([f"note {number}" for number in rng.integers(0, 1_000_000, rows)]),
    }
    for number in range(6):
        columns[f"count_{number}"] = rng.integers(0, 10 ** (number + 1), rows)
    for number in range(9):
        values = rng.normal(size=rows).round(4 + number % 3)
        columns[f"x_{number}"] = pa.array(values, mask=rng.random(rows) < 0.02)
    return pa.table(columns)


def made(folder: Path, rows: int) -> tuple[Path, Path, int]:
    """The Parquet file, a CSV file of a fifth of its rows, and how many those are."""
    parquet, text = folder / "big.parquet", folder / "big.csv"
    writer: pq.ParquetWriter | None = None
    few = 0
    with text.open("wb") as out:
        for first in range(0, rows, CHUNK):
            table = chunk(first, min(CHUNK, rows - first))
            writer = writer or pq.ParquetWriter(parquet, table.schema)
            writer.write_table(table)
            if few < rows // 5:
                pc.write_csv(table, out, pc.WriteOptions(include_header=not few))
                few += len(table)
    if writer is not None:
        writer.close()
    return parquet, text, few


def main(rows: int = ROWS) -> None:
    print(f"{'import':34} {'size':>8} {'wall':>7} {'CPU':>7} {'rate':>11} {'peak RSS':>9}   budget {RSS_BUDGET}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parquet, text, few = made(folder, rows)
        for path, count in ((parquet, rows), (text, few)):
            size = path.stat().st_size
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT, str(folder / f"ws-{path.suffix[1:]}"), str(path)],
                capture_output=True,
                text=True,
                check=True,
            )
            read, wall, cpu, peak = done.stdout.split()
            assert int(read) == count
            print(
                f"{f'{count:,} × 20 {path.suffix[1:]}':34} {size / 1e6:6.0f}MB {float(wall):6.1f}s {float(cpu):6.1f}s "
                f"{count / float(wall) / 1e6:7.2f} M/s {int(peak):6} MB",
                flush=True,
            )
            path.unlink()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
