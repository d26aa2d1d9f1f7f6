"""What examinations found, each kept as it was. The verbs of `ReportStore`."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from backends.contract import START, Page
from backends.entities import Report
from backends.listing import cut
from backends.local.database import Database
from backends.local.limits import check_name

_MOST = 10_000


class LocalReports:
    """`ReportStore` of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, report: Report) -> Report:
        """Keep it under a new id."""
        check_name("report's kind", report.kind, "kind")
        check_name("report's subject", report.subject, "subject")
        kept = msgspec.structs.replace(report, id=uuid.uuid4().hex)
        with self._database.write(durable=True) as connection:
            connection.execute(
                "INSERT INTO reports (id, kind, subject, record) VALUES (?, ?, ?, ?)",
                (kept.id, kept.kind, kept.subject, msgspec.msgpack.encode(kept)),
            )
        return kept

    def latest(self, kind: str, subject: str) -> Report | None:
        """The newest of this kind on this subject."""
        found = self._found("kind = ? AND subject = ?", (kind, subject), 1)
        return found[0] if found else None

    def page(self, kind: str = "", subject: str = "", *, at: str = START, limit: int = 100) -> Page[Report]:
        """Newest first."""
        found = self._found("(?1 = '' OR kind = ?1) AND (?2 = '' OR subject = ?2)", (kind, subject), _MOST)
        return cut(found, at, limit, name=lambda report: report.id)

    def _found(self, where: str, bind: tuple[Any, ...], most: int) -> list[Report]:
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT record FROM reports WHERE {where} ORDER BY seq DESC LIMIT {most}", bind
            ).fetchall()
        return [msgspec.msgpack.decode(row[0], type=Report) for row in rows]
