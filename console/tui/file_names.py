"""Names of data files, completed as they are typed."""

from __future__ import annotations

from pathlib import Path

from textual.suggester import Suggester

ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".pq", ".gz", ".zst")
"""What an import reads."""

LOOKED_AT = 2000
"""Entries of a folder that are looked at: completing never waits for a folder of a million files."""


def complete_file(typed: str) -> str | None:
    """The whole path as it would be with its last part completed: a folder, or a file that an import reads."""
    folder, slash, start = typed.rpartition("/")
    if not start and not slash:
        return None
    found = next(iter(_entries(f"{folder}{slash}" or ".", start)), None)
    return f"{folder}{slash}{found}" if found is not None and found != start else None


def data_files(folder: str = ".") -> tuple[str, ...]:
    """Files in a folder that an import reads, by name."""
    return tuple(name for name in _entries(folder, "") if not name.endswith("/"))


def _entries(folder: str, start: str) -> list[str]:
    found: list[str] = []
    try:
        for at, path in enumerate(Path(folder).expanduser().iterdir()):
            if at >= LOOKED_AT:
                break
            if not path.name.startswith(start) or (path.name.startswith(".") and not start):
                continue
            if path.is_dir():
                found.append(f"{path.name}/")
            elif path.suffix.lower() in ENDINGS:
                found.append(path.name)
    except (OSError, RuntimeError):  # RuntimeError: ~nobody has no home
        return []
    return sorted(found)


class FileSuggester(Suggester):
    """The rest of a file's name as a ghost; tab takes it."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return complete_file(value)
