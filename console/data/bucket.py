"""Files of a bucket or another place that fsspec knows (`s3://`, `gs://`, `abfs://`, …), brought into a folder of our
own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.contract import BackendError, Invalid, NotFound, Refused, Unauthorized, Unreachable, Unsupported
from console.data.origin import masked
from console.data.parts import MOST_FILES, WILD
from console.data.stream import BLOCK, MOST_BYTES


def fetch_bucket(
    url: str, folder: Path, *, most: int = MOST_BYTES, told: Callable[[int, int], None]
) -> tuple[Path, bool]:
    """What the URL names, below `folder` under its own names, and whether it is several files: a file, or a folder or
    pattern with its tree.

    `told` as in `fetch_url`. Unsupported without the extra `cloud`; NotFound, Unauthorized, Refused (too large).
    """
    shown = masked(url)
    if "::" in url:
        raise Invalid(f"{shown}: chained URLs are not read; name the file itself.", "target")
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise Unsupported(f"{shown}: buckets need fsspec: pip install 'mlops-console[cloud]'") from error
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise Unsupported(f"{shown}: {error}. pip install 'mlops-console[cloud]', or that package.") from None
    except ValueError as error:
        raise Unsupported(f"{shown}: {error}".replace(url, shown)) from None
    try:
        return _bring(system, path, shown, folder, most, told)
    except BackendError:
        raise
    except FileNotFoundError:
        raise NotFound(f"there is nothing at {shown}; check the URL.") from None
    except PermissionError as error:
        raise Unauthorized(f"{shown}: no permission to read it ({error}). Check the bucket's login.") from None
    except OSError as error:
        if error.errno is not None and error.filename:
            raise  # of our own disk
        raise Unreachable(f"{shown} does not answer: {str(error).replace(url, shown)}") from None
    except Exception as error:  # each driver has its own family of errors
        raise Unreachable(f"{shown}: {type(error).__name__}: {str(error).replace(url, shown)}") from None


def _bring(
    system: Any, path: str, shown: str, folder: Path, most: int, told: Callable[[int, int], None]
) -> tuple[Path, bool]:
    base, found = _listed(system, path)
    if not found:
        raise NotFound(f"there is no file at {shown}; check the URL, and quote a pattern.")
    if len(found) > MOST_FILES:
        raise Refused(f"{shown} has {len(found):,} files, and {MOST_FILES:,} is the most; import it in pieces.")
    total = sum(int(info.get("size") or 0) for info in found.values())
    if total > most:
        raise Refused(
            f"{shown} has {total:,} bytes, and {most:,} is the limit; nothing was kept. If it is meant to be that "
            "large, raise the limit: --most"
        )
    done = 0
    for name, info in found.items():
        done = _copy(system, name, info, _below(folder, name, base), done, total, most, told)
    single = len(found) == 1 and base != path.rstrip("/") and not any(letter in path for letter in WILD)
    return (_below(folder, next(iter(found)), base), False) if single else (folder, True)


def _listed(system: Any, path: str) -> tuple[str, dict[str, Any]]:
    """The folder below which names count, and the files with what is known of them."""
    if any(letter in path for letter in WILD):
        fixed = path
        while any(letter in fixed for letter in WILD):
            fixed = fixed.rpartition("/")[0]
        matches = system.glob(path, detail=True)
        found = {name: info for name, info in matches.items() if info["type"] == "file"}
        for name in [name for name, info in matches.items() if info["type"] == "directory"]:
            found |= system.find(name, detail=True)
        return fixed, dict(sorted(found.items()))
    info = system.info(path)
    if info["type"] == "file":
        return path.rpartition("/")[0], {path: info}
    return path.rstrip("/"), dict(sorted(system.find(path, detail=True).items()))


def _below(folder: Path, name: str, base: str) -> Path:
    """Where a file of the bucket is put. A name cannot lead out of the folder."""
    path = folder.joinpath(*[part for part in name.removeprefix(base).split("/") if part not in ("", ".", "..")])
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _copy(
    system: Any,
    name: str,
    info: dict[str, Any],
    to: Path,
    done: int,
    total: int,
    most: int,
    told: Callable[[int, int], None],
) -> int:
    """Copies one file and gives the bytes that came so far of all."""
    began = done
    with system.open(name, "rb", block_size=BLOCK) as source, to.open("wb") as out:
        while data := source.read(BLOCK):
            done += len(data)
            if done > most:
                raise Refused(f"{name} grows past the limit of {most:,} bytes; nothing was kept. Raise it: --most")
            out.write(data)
            told(done, total)
    after = system.info(name)
    same = all(
        info.get(key) == after.get(key) for key in ("size", "ETag", "etag", "LastModified", "mtime", "generation")
    )
    if not same or done - began != int(info.get("size") or done - began):
        raise Invalid(f"{name} changed while it was fetched; nothing was kept. Import it again.", "target")
    return done
