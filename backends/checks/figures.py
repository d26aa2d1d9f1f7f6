"""What a metrics store promises: what it is, that no data is not zero, and what fires."""

from __future__ import annotations

import re
import time
from typing import Final

from backends.checks.finding import Wrong, listed, shown
from backends.checks.listing import unknown
from backends.checks.look import Look
from backends.checks.promise import promise
from backends.checks.records import check_record
from backends.entities import Service, ServiceWindow, SourceAlert, SourceInfo

_HOUR: Final = 3_600_000
_MINUTE: Final = 60_000


@promise("metrics", "it says what it is and where, without a secret")
def who(look: Look) -> str:
    source = look.the("metrics")
    info: SourceInfo = source.info()
    check_record(info, SourceInfo, "what it is")
    if re.search(r"://[^/@\s]*:[^/@\s]+@", source.where()):
        raise Wrong("an address without a password", "user:…@ in it")
    if not info.product:
        raise Wrong("the name of a product", "nothing")
    return f"{info.product} {info.version}".strip()


@promise("metrics", "a service without samples has no windows: no data is not zero")
def no_data(look: Look) -> str:
    source, name = look.the("metrics"), unknown()
    nobody = Service(name=name, kind="http", labels={"job": name})
    until = int(time.time() * 1000) // _MINUTE * _MINUTE
    found: tuple[ServiceWindow, ...] = source.windows(nobody, since=until - _HOUR, until=until, length=_MINUTE)
    if found != ():
        raise Wrong("no windows of a service that has no samples", shown(found[0]))
    for asked in source.examine(nobody):
        if asked.series:
            raise Wrong(f"no series for {shown(asked.query, 60)}", f"{asked.series}")
    return ""


@promise("metrics", "alerts come the oldest first, each firing or pending")
def firing(look: Look) -> str:
    found: tuple[SourceAlert, ...] = look.the("metrics").alerts()
    for each in found:
        check_record(each, SourceAlert, f"alert {each.name}")
    begun = [each.since for each in found if each.since is not None]
    if begun != sorted(begun):
        raise Wrong("the oldest alert first", listed([each.name for each in found]))
    beside = sorted({each.state for each in found} - {"firing", "pending"})
    if beside:
        raise Wrong("alerts that fire or are pending", listed(beside))
    return f"{len(found)} alerts"
