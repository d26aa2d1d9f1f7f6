"""What the last replay of logged requests found about a version, and whether that still holds."""

from __future__ import annotations

import msgspec

from backends.contract import Backend, Invalid
from backends.entities import ModelVersion, Record, Report
from console.serving.replay.figures import KIND, Replay


class Replayed(Record, frozen=True, kw_only=True):
    """The newest report on a version."""

    report: Report
    figures: Replay
    other_file: bool
    """It is of another file than the version's."""

    def stale(self, candidate: ModelVersion, holder: ModelVersion | None) -> str:
        """Why its comparison of answers does not hold for these two any more; empty where it does."""
        if self.other_file:
            return "of another file"
        held = holder.version if holder is not None and holder.version != candidate.version else ""
        if held and held != self.figures.against:
            was = f"v{self.figures.against}" if self.figures.against else "the logged answers"
            return f"against {was}, and v{held} holds the alias"
        return ""


def last_replay(backend: Backend, version: ModelVersion) -> Replayed | None:
    """None where the version was never replayed. Invalid where what was kept cannot be read."""
    if backend.reports is None:
        return None
    report = backend.reports.latest(KIND, version.ref)
    if report is None:
        return None
    try:
        figures = msgspec.convert(report.figures, Replay)
    except msgspec.ValidationError as error:
        raise Invalid(f"the replay of {version.ref} that was kept cannot be read ({error}); run it again.") from error
    other = bool(report.digest and version.file.sha256 and report.digest != version.file.sha256)
    return Replayed(report=report, figures=figures, other_file=other)


def replay_command(version: ModelVersion, alias: str = "champion") -> str:
    """How it is run again."""
    return f"mlops-console model replay {version.model} {version.version}" + (
        "" if alias == "champion" else f" --alias {alias}"
    )
