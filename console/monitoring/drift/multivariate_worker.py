"""`python -m console.monitoring.drift.multivariate_worker URL MONITOR`: all columns of a monitor's newest rows at
once."""

from __future__ import annotations

import argparse
import sys

from backends.contract import Backend
from console.monitoring.drift.multivariate import Together
from console.speaker import Speaker, speak_of


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="console.monitoring.drift.multivariate_worker")
    parser.add_argument("url")
    parser.add_argument("monitor")
    asked = parser.parse_args(argv)

    def work(backend: Backend, _: Speaker) -> Together:
        from console.monitoring.drift.multivariate_review import review_together

        return review_together(backend, asked.monitor)

    return speak_of(asked.url, work)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
