"""Files that lie in a version's commit."""

from __future__ import annotations

from backends.gto.repository import Repository

_MOST = 2_000


def in_commit(repository: Repository, commit: str, path: str) -> dict[str, int]:
    """Path → bytes of the file at this path, or of those in this folder, without its folders; the first 2 000."""
    found: dict[str, int] = {}
    for place in (path, f"{path}/"):
        done = repository.git.run("ls-tree", "-z", "-l", "--full-tree", commit, "--", place)
        found |= _sizes(done.out)
    return found


def under(repository: Repository, commit: str, folder: str) -> dict[str, int]:
    """Path → bytes of every file in a folder of the commit, at any depth; the first 2 000."""
    place = [f"{folder.strip('/')}/"] if folder.strip("/") else []
    done = repository.git.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--", *place)
    return _sizes(done.out)


def _sizes(listed: bytes) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in listed.split(b"\0")[:_MOST]:
        head, _, name = line.partition(b"\t")
        fields = head.split()
        if len(fields) == 4 and fields[1] == b"blob" and fields[0] != b"120000":
            found[name.decode("utf-8", "surrogateescape")] = int(fields[3])
    return found
