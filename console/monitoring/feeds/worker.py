"""Batches handed in, scored apart: `python -m console.monitoring.feeds.worker URL MONITOR [--labels] FILE …`.

URL names the backend (`local:/path`). Speaks the JSON lines of `console.speaker` on stdout.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from backends.contract import Backend
from backends.entities import Progress
from console.monitoring.feeds.batch_log import BatchRecord
from console.speaker import Speaker, speak_of


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="console.monitoring.feeds.worker")
    parser.add_argument("url")
    parser.add_argument("monitor")
    parser.add_argument("--labels", action="store_true")
    parser.add_argument("files", nargs="+", type=Path)
    asked = parser.parse_args(argv)

    def work(backend: Backend, speaker: Speaker) -> list[BatchRecord]:
        return _take(backend, asked.monitor, asked.files, asked.labels, speaker)

    return speak_of(asked.url, work)


def _take(backend: Backend, monitor: str, files: list[Path], labels: bool, speaker: Speaker) -> list[BatchRecord]:
    from console.monitoring.feeds.ingest import ingest_batch
    from console.monitoring.feeds.labels import ingest_labels
    from console.monitoring.feeds.versions import Versions

    versions = Versions(backend, backend.need("monitors").get(monitor))
    records = []
    for number, file in enumerate(files):
        speaker.progress(Progress(at=int(time.time() * 1000), fraction=number / len(files), stage=file.name))
        records.append(
            ingest_labels(backend, monitor, file, versions=versions)
            if labels
            else ingest_batch(backend, monitor, file, versions=versions)
        )
    return records


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
