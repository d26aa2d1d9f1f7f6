"""Archives of layers, unpacked with care: regular files within the folder, and no more than they say."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import IO, Final

from backends.contract import Refused
from backends.oci.layers import inner

_MOST_FILES: Final = 100_000
_GROWS: Final = 200
"""An archive whose files are so many times its own size is none of a model."""
_PIECE: Final = 1 << 20


def unpack(archive: Path, folder: Path, *, named: str) -> None:
    """The regular files of an archive into a folder, whole or not at all. Links, devices and paths that leave the
    folder are left out. Refused for what is no archive, or a bomb."""
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    left = archive.stat().st_size * _GROWS + 64 * 1024 * 1024
    try:
        with tarfile.open(archive, "r:*") as tar:
            for count, entry in enumerate(tar):
                path = entry.name.removeprefix("./")
                if count > _MOST_FILES or entry.size > left:
                    raise Refused(f"{named} unpacks to far more than it is; it is not used. Look at who pushed it")
                content = tar.extractfile(entry) if entry.isreg() and inner(path) else None
                if content is None:
                    continue
                left -= entry.size
                with content:
                    _write(content, draft / path)
        if folder.exists():  # somebody else was faster
            shutil.rmtree(draft)
        else:
            draft.rename(folder)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == 28:
            raise Refused(f"there is no room on this machine to unpack {named}; make some, and repeat") from error
        if folder.exists():
            return
        raise Refused(f"{named} is no tar archive that can be read ({type(error).__name__}); push it anew") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(content: IO[bytes], to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with to.open("wb") as file:
        while piece := content.read(_PIECE):
            file.write(piece)
