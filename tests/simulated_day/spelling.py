"""Rows as producers spell them: times in five ways, numbers as text, keys left out or null; CSV, JSON, Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from tests.simulated_day.ledger import Chance, Row

COLUMNS = ("id", "at", "weight", "distance", "carrier")


def spelled_time(at: int | None, style: int) -> Any:
    """ISO in UTC, ISO as a clock on a wall in Paris says it, ISO without a zone (UTC), seconds or milliseconds."""
    if at is None:
        return "soon"
    moment = datetime.fromtimestamp(at / 1000, UTC)
    if style == 0:
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"
    if style == 1:  # summer time ended at 01:00 UTC on 27 October 2024
        paris = timezone(timedelta(hours=2 if at < 1_729_990_800_000 else 1))
        return moment.astimezone(paris).isoformat(timespec="milliseconds")
    if style == 2:
        return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
    return at / 1000 if style == 3 else at


def json_lines(rows: Sequence[Row], chance: Chance, *, styles: Sequence[int] = (0,), told: bool = False) -> list[str]:
    """One line a row. told: their labels come with those rows that have it told, and null with the others."""
    lines = []
    for row in rows:
        values = row.values() | {"at": spelled_time(row.at, int(chance.rng.choice(styles)))}
        if told:
            values["late"] = row.late if row.told else None
        if isinstance(row.weight, float) and chance.yes(0.01):
            values["weight"] = repr(row.weight)
        left = {key: value for key, value in values.items() if value is not None or chance.yes(0.5)}
        lines.append(json.dumps(left, ensure_ascii=False))
    return lines


def csv_text(rows: Sequence[Row], *, style: int = 0, rename: str = "", header: bool = True) -> str:
    frame = pd.DataFrame([row.values() | {"at": spelled_time(row.at, style)} for row in rows], columns=list(COLUMNS))
    frame["id"] = pd.array([row.id for row in rows], dtype="Int64")
    text = frame.rename(columns={"distance": rename} if rename else {}).to_csv(index=False, header=header)
    return str(text)


def parquet_bytes(rows: Sequence[Row]) -> bytes:
    """Typed: what is no number is no value there, and a time always is one."""
    frame = pd.DataFrame([row.values() for row in rows], columns=["id", "weight", "distance", "carrier"])
    frame["id"] = pd.array([row.id for row in rows], dtype="Int64")
    frame["at"] = pd.to_datetime([row.at for row in rows], unit="ms", utc=True)
    kept = io.BytesIO()
    frame.to_parquet(kept, index=False)
    return kept.getvalue()


def label_csv(labels: Sequence[tuple[int, str]]) -> str:
    return "id,late\n" + "".join(f"{number},{late}\n" for number, late in labels)


def write_whole(path: Path, data: bytes) -> None:
    """As careful writers do."""
    fresh = path.with_name(f"{path.name}.part")
    fresh.write_bytes(data)
    fresh.rename(path)
