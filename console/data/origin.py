"""Where an import comes from, as the person named it, and how that is written down without its secrets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from backends.contract import Invalid
from backends.entities import Record
from console.data.stream import MOST_BYTES, UTF8

URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
QUERY = re.compile(r"\?[^/]*=.*$|#.*$", re.DOTALL)
"""A pattern's `?` is none."""
SQL_SHOWN = 400


ORIGIN = "MLOPS_CONSOLE_ORIGIN"
"""Environment variable by which a process of the console tells another what to import, as JSON."""


class Origin(Record, frozen=True, kw_only=True):
    """What to import. Either `target` or `env` says where; with `sql` it is a database."""

    target: str = ""
    """A file, a folder, a pattern, or a URL: http(s), a bucket (`s3://…`), with `sql` a database."""
    env: str = ""
    """Environment variable that holds the URL, where it holds a secret."""
    sql: str = ""
    format: str = ""
    """`csv`, `tsv`, `jsonl` or `parquet`; by name or content where it is not given."""
    encoding: str = UTF8
    delimiter: str = ""
    columns: tuple[str, ...] = ()
    """Only these, in this order; empty for all."""
    sha256: str = ""
    """What a file fetched from a URL must have."""
    most: int = MOST_BYTES
    """Bytes that are fetched or unpacked at most."""
    follow_links: bool = False
    """Whether links that lead out of the folder are followed."""
    base: str = ""
    """Of one file: the folder below which folders named key=value are columns."""
    mark: tuple[int, int, int] | None = None
    """Of one file: inode, size and time as somebody has seen it; another file is refused."""

    @property
    def place(self) -> str:
        """The target, from the environment where it lies there."""
        if not self.env:
            return self.target
        found = os.environ.get(self.env, "").strip()
        if not found:
            raise Invalid(
                f"the URL is wanted from the environment variable {self.env}, which is not set here; set it first.",
                "env",
            )
        return found

    @property
    def kind(self) -> str:
        """`sql`, `url`, `bucket` or `files`."""
        if self.sql:
            return "sql"
        if not is_url(self.place):
            return "files"
        scheme = urlsplit(self.place).scheme.lower()
        if scheme == "file":
            return "files"
        return "url" if scheme in ("http", "https") else "bucket"

    @property
    def path(self) -> str:
        """The local path or pattern, absolute, so that another process finds it too."""
        place = self.place
        if is_url(place):
            from urllib.request import url2pathname

            return url2pathname(urlsplit(place).path)
        return str(Path(place).expanduser().absolute()) if place else ""

    def here(self) -> Origin:
        """The same with paths that another process finds too, wherever it was started."""
        if self.env or not self.target:
            return self
        if self.kind == "files":
            return msgspec.structs.replace(self, target=self.path)
        sqlite = re.fullmatch(r"sqlite:///([^/].*)", self.target) if self.sql else None
        return msgspec.structs.replace(self, target=f"sqlite:///{Path(sqlite[1]).absolute()}") if sqlite else self

    @property
    def source(self) -> str:
        """What is written down: absolute, and without passwords, keys and signatures."""
        if self.kind == "files":
            return self.path
        shown = masked(self.place)
        if not self.sql:
            return shown
        text = " ".join(self.sql.split())
        return f"{shown} {text[:SQL_SHOWN]}{'…' * (len(text) > SQL_SHOWN)}"

    @property
    def short(self) -> str:
        """A word or two for a progress line."""
        if self.sql:
            return masked(self.place).rstrip("/").rpartition("/")[2] or "a query"
        return Path(urlsplit(self.place).path if is_url(self.place) else self.place).name or masked(self.place)


def is_url(text: str) -> bool:
    return bool(URL.match(text))


def masked(url: str) -> str:
    """The URL without its password, and without a query, which may hold keys and signatures."""
    if not is_url(url):
        return url
    scheme, _, rest = url.partition("://")
    netloc, slash, path = rest.partition("/")
    host, colon, port = netloc.partition(":")
    if "@" not in netloc and colon and not port.isdigit() and "@" in path:
        netloc, path = f"{host}@{path.rpartition('@')[2].partition('/')[0]}", path.rpartition("@")[2].partition("/")[2]
    login, at, server = netloc.rpartition("@")
    path = QUERY.sub("", path)
    return f"{scheme}://{login.partition(':')[0]}{at}{server}{slash}{path}"


def check_no_secret(target: str) -> None:
    """Refuse a secret where others can read it: the command line of a process is seen by everyone on the machine."""
    if is_url(target) and ":" in urlsplit(target).netloc.rpartition("@")[0]:
        raise Invalid(
            f"{masked(target)} was given with a password, and a command line is seen by everyone on this machine. "
            "Put the whole URL into an environment variable and name that: --from-env NAME",
            "from",
        )


def origin_name(origin: Origin) -> str:
    """A dataset's name after where it comes from: `flights.csv.gz`, `flights/*.csv` and `s3://b/flights/` → `flights`.
    Empty where nothing says one."""
    if origin.sql or origin.env:
        return ""
    path = urlsplit(origin.target).path if is_url(origin.target) else str(Path(origin.target).expanduser().absolute())
    for part in reversed([part for part in path.split("/") if part]):
        name = part.split(".")[0] if not part.startswith(".") else ""
        if name and not any(letter in name for letter in "*?[=@"):
            return name
    return ""
