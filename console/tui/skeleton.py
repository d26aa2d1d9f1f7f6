"""The first paint: what the screen looked like last time, written before Textual is imported.

Only text is remembered, in a file of the person's own cache; it is drawn dim, because none of it is known to be true
yet. Imports nothing but what Python has loaded already.
"""

from __future__ import annotations

import os
import sys
import zlib

MAGIC = "mlops-console screen 1"
LIMIT = 200_000


def place(context: str, workspace: str, pane: str, columns: int, rows: int) -> str:
    """The file for this workspace, pane and size."""
    home = os.environ.get("XDG_CACHE_HOME", "") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    asked = "\0".join(
        [
            context,
            workspace,
            *(os.environ.get(f"MLOPS_CONSOLE_{name}", "") for name in ("CONTEXT", "WORKSPACE", "CONFIG")),
        ]
    )
    key = zlib.crc32(asked.encode("utf-8", "replace"))
    return f"{home}/mlops-console/screens/{key:08x}-{pane}-{columns}x{rows}"


def paint(fd: int, path: str, columns: int, rows: int, pane: str) -> None:
    """Enter the alternate screen and draw the remembered lines, or the bare frame."""
    lines, ground = _read(path)
    if not lines:
        lines, ground = _bare(columns, rows, pane), ""
    shown = [line[:columns] for line in lines[:rows]]
    colour = f"\x1b[48;2;{ground}m" if ground and os.environ.get("COLORTERM") in ("truecolor", "24bit") else ""
    body = "\x1b[K\r\n".join(shown) + "\x1b[K"
    blank = "\r\n\x1b[K" * (rows - len(shown))
    text = f"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H{colour}\x1b[2m{body}{blank}\x1b[0m\x1b[H"
    encoding = sys.stdout.encoding or "ascii"
    data = text.encode(encoding, "replace")
    while data:
        data = data[os.write(fd, data) :]


def remember(path: str, lines: list[str], ground: str) -> None:
    """Keep the lines for the next start. Losing them costs nothing, so no failure here is worth a word."""
    text = "\n".join([f"{MAGIC} {ground}", *lines])
    part = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(part, path)  # noqa: PTH105
    except (OSError, UnicodeError):
        return


def _read(path: str) -> tuple[list[str], str]:
    """Lines of which every character is harmless, whoever wrote the file; nothing from a file that is not ours."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                return [], ""
            text = file.read(LIMIT).decode("utf-8", "replace")
    except (OSError, AttributeError):
        return [], ""
    head, *lines = text.split("\n")
    if not head.startswith(MAGIC):
        return [], ""
    ground = head[len(MAGIC) :].strip()
    parts = ground.split(";")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):
        ground = ""
    return ["".join(c if c.isprintable() else " " for c in line) for line in lines], ground


def _bare(columns: int, rows: int, pane: str) -> list[str]:
    rule = "─" * columns
    head = " mlops-console" + "opening … ".rjust(max(0, columns - 14))
    return [head, f" {pane}", rule, *[""] * max(0, rows - 5), rule, ""]


def quiet_terminal() -> object:
    """No echo while Textual is on its way: keys typed meanwhile wait for it. Returns what to restore."""
    try:
        import termios

        before = termios.tcgetattr(0)
        now = termios.tcgetattr(0)
        now[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(0, termios.TCSANOW, now)
    except (ImportError, OSError, ValueError, termios.error):
        return None
    return before


def restore_terminal(before: object) -> None:
    if before is None:
        return
    import termios

    try:
        termios.tcsetattr(0, termios.TCSANOW, before)  # type: ignore[arg-type]
    except (OSError, termios.error):
        return  # the terminal is gone
