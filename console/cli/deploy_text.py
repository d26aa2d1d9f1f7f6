"""Deployments as lines and columns."""

from __future__ import annotations

from backends.entities import Deployment, DeploymentState
from console.cli.output import Col, gap, print_lines, print_record, print_table
from console.serving.deployment.figures import VersionFigures, View, engine_text
from console.wording import figure, local_time, percent, size, thousands, traffic


def split_text(deployment: Deployment) -> str:
    return "  ".join(f"{each.label} {traffic(each)}" for each in deployment.targets)


def served_text(view: View) -> str:
    """`v7`, or `v6, wanted v7`; nothing of what is stopped."""
    if view.deployment.status.state is DeploymentState.STOPPED:
        return ""
    parts = []
    for each in view.standings:
        named = f"{each.target} " if len(view.standings) > 1 else ""
        served = f"v{each.served}" if each.served else "nothing"
        wanted = f", wanted v{each.wanted}" if each.wanted and each.wanted != each.served else ""
        parts.append(f"{named}{served}{wanted}")
    return "  ".join(parts)


def state_word(deployment: Deployment) -> str:
    return str(deployment.status.state)


VIEW_COLUMNS: list[Col[View]] = [
    Col("name", lambda item: item.deployment.name),
    Col("state", lambda item: state_word(item.deployment), state=True),
    Col("model", lambda item: item.deployment.model),
    Col("serves", served_text, widest=40),
    Col("split", lambda item: split_text(item.deployment), widest=44),
    Col("req/s", lambda item: figure(item.whole.rate if item.whole else None), right=True),
    Col("p99 ms", lambda item: figure(item.whole.p99 if item.whole else None), right=True),
    Col("errors", lambda item: percent(item.whole.errors if item.whole else None), right=True),
    Col("url", lambda item: item.deployment.status.url, widest=40),
    Col("needs you", lambda item: item.needs, widest=80),
]

VERSION_COLUMNS: list[Col[VersionFigures]] = [
    Col("version", lambda item: "none" if item.version == "-" else f"v{item.version}"),
    Col("for", lambda item: " ".join(item.targets)),
    Col("share", lambda item: "shadow" if item.shadow else percent(item.share), right=True),
    Col("requests", lambda item: thousands(item.requests), right=True),
    Col("req/s", lambda item: figure(item.rate), right=True),
    Col("p50 ms", lambda item: figure(item.p50), right=True),
    Col("p95 ms", lambda item: figure(item.p95), right=True),
    Col("p99 ms", lambda item: figure(item.p99), right=True),
    Col("errors", lambda item: percent(item.errors), right=True),
]


def print_view(view: View) -> None:
    found, status = view.deployment, view.deployment.status
    guard = found.guard
    print_record(
        {
            "deployment": found.name,
            "state": str(status.state),
            "since": local_time(status.since) if status.since else "",
            "needs you": view.needs,
            "model": found.model,
            "serves": served_text(view),
            "split": split_text(found),
            "sticky by": found.key,
            "guard": f"errors +{guard.errors:.1%}, slow +{guard.slow:.0%}, drift {guard.drift:g}, from {guard.requests}"
            f" answers on, alpha {guard.alpha:g}"
            if guard
            else "",
            "last halt": found.halted,
            "url": status.url,
            "engine": engine_text(view),
            "workers": f"{view.workers if view.workers is not None else 0} of {found.workers}",
            "cpu": percent(view.cpu) if view.cpu is not None else "",
            "memory": size(view.rss) if view.rss is not None else "",
            "restarts": status.restarts or "",
            "token": found.token_file,
            "predictions": "not kept"
            if not found.log
            else f"{found.sample:.0%} kept{f', {view.dropped} dropped' if view.dropped else ''}",
            "redacted": ", ".join(found.redact),
            "made": f"{local_time(found.created_at)} by {found.created_by}",
            "note": found.note,
        }
    )
    for target, results in (view.watched.results if view.watched is not None else {}).items():
        gap()
        print_lines(f"guard, {target.removeprefix('@')} against {found.targets[0].label}:")
        for each in results:
            print_lines(f"  {each.status}  {each.gate}  {each.value}  {each.detail}")
    if view.versions:
        gap()
        print_table(view.versions, VERSION_COLUMNS)
    if status.tail:
        gap()
        print_lines("\n".join(status.tail))


def watch_line(view: View) -> str:
    whole = view.whole
    parts = [view.deployment.name, str(view.deployment.status.state), served_text(view)]
    if whole is not None:
        parts += [f"{figure(whole.rate)} req/s", f"p99 {figure(whole.p99)} ms", f"errors {percent(whole.errors)}"]
    return "  ".join([*parts, view.needs] if view.needs else parts)
