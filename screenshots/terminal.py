"""A real terminal without a window: the program in a pty, its screen as cells, and the cells as SVG or PNG."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import pyte

CELL = (8.43, 17.0)
"""Width and height of a cell in pixels: DejaVu Sans Mono at 14 px."""

FONT_SIZE = 14
MARGIN = 12
PAPER, INK = "#101418", "#d8dee9"

NAMED = {
    "black": "#1c1f24", "red": "#d16969", "green": "#89b482", "brown": "#d8a657", "yellow": "#d8a657",
    "blue": "#7daea3",
    "magenta": "#d3869b", "cyan": "#89b4c4", "white": "#d8dee9", "brightblack": "#7c8490", "brightred": "#ea6962",
    "brightgreen": "#a9d18e", "brightbrown": "#e9c46a", "brightyellow": "#e9c46a", "brightblue": "#8ec0d0",
    "brightmagenta": "#e2a2b8", "brightcyan": "#a5d2e0", "brightwhite": "#ffffff",
}  # fmt: skip

_NOT_FOR_PYTE = re.compile(
    rb"\x1b\[[<>=][0-9;]*[A-Za-z]|\x1b\[\?[0-9;]*\$p|\x1bP[^\x1b]*\x1b\\|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
)
"""Private sequences (keyboard protocol, mode queries, titles) that pyte would print."""

FONTS = (
    "DejaVuSansMono.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
    "/usr/share/fonts/dejavu-sans-mono-fonts/DejaVuSansMono.ttf",
    "/Library/Fonts/DejaVuSansMono.ttf",
)


class Terminal:
    """A program running in a pty of a given size."""

    def __init__(self, command: Sequence[str], columns: int, rows: int, env: dict[str, str] | None = None) -> None:
        self.columns, self.rows = columns, rows
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._rest = b""
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.environ.update(env or {})
            os.execvp(command[0], list(command))  # noqa: S606
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self._pid, signal.SIGWINCH)

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def settle(self, quiet_s: float = 0.6, limit_s: float = 20.0) -> None:
        """Read until nothing came for a while."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self._fd], [], [], quiet_s)
            if not ready or not self._read():
                return

    def watch(self, seconds: float) -> None:
        """Read for so long, whatever comes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self._fd], [], [], left)
            if ready and not self._read():
                return

    def wait_for(self, text: str, limit_s: float = 30.0) -> None:
        """Read until the text stands on the screen; TimeoutError shows what stands there instead."""
        deadline = time.monotonic() + limit_s
        while text not in self.text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{text!r} did not appear; the screen is:\n{self.text()}")
            if select.select([self._fd], [], [], 0.2)[0] and not self._read():
                raise TimeoutError(f"the program ended before {text!r} appeared; the screen was:\n{self.text()}")

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def close(self) -> None:
        os.kill(self._pid, signal.SIGHUP)
        deadline = time.monotonic() + 5
        while os.waitpid(self._pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self._pid, signal.SIGKILL)
            time.sleep(0.02)
        os.close(self._fd)

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, 65_536)
        except OSError:  # the other side is closed
            return False
        if not data:
            return False
        data = _NOT_FOR_PYTE.sub(b"", self._rest + data)
        # A sequence may be cut in two by the read: its beginning waits for its end.
        cut = data.rfind(b"\x1b")
        self._rest = b""
        if cut >= 0 and len(data) - cut < 32 and not re.search(rb"[A-Za-z~\\\x07]", data[cut + 1 :]):
            data, self._rest = data[:cut], data[cut:]
        self._stream.feed(data)
        return True


def colour(name: str, fallback: str) -> str:
    if name == "default":
        return fallback
    return NAMED.get(name) or f"#{name}"


def cells(terminal: Terminal) -> list[list[tuple[str, str, str, bool, bool]]]:
    """Rows of (text, ink, paper, bold, underlined), one per cell; a wide character is followed by an empty cell."""
    rows = []
    for y in range(terminal.rows):
        line = terminal.screen.buffer[y]
        row = []
        for x in range(terminal.columns):
            char: Any = line[x]
            ink, paper = colour(char.fg, INK), colour(char.bg, PAPER)
            if char.reverse:
                ink, paper = paper, ink
            row.append((char.data, ink, paper, char.bold, char.underscore))
        rows.append(row)
    return rows


def paper_of(rows: list[list[tuple[str, str, str, bool, bool]]]) -> str:
    """The colour that most of the screen has: what the margin is painted with."""
    return Counter(cell[2] for row in rows for cell in row).most_common(1)[0][0]


def write_svg(terminal: Terminal, path: Path, title: str) -> None:
    """The screen as SVG: one rectangle per run of a colour, one text per run of a style."""
    shown = cells(terminal)
    ground = paper_of(shown)
    width = terminal.columns * CELL[0] + 2 * MARGIN
    height = terminal.rows * CELL[1] + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="6" fill="{ground}"/>',
        f'<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{FONT_SIZE}" xml:space="preserve">',
    ]
    for y, row in enumerate(shown):
        top = MARGIN + y * CELL[1]
        for start, end in runs([cell[2] for cell in row]):
            if row[start][2] != ground:
                out.append(
                    f'<rect x="{MARGIN + start * CELL[0]:.2f}" y="{top:.1f}" width="{(end - start) * CELL[0]:.2f}" '
                    f'height="{CELL[1]}" fill="{row[start][2]}"/>'
                )
        for start, end in runs([(cell[1], cell[3], cell[4]) for cell in row]):
            text = "".join(cell[0] for cell in row[start:end])
            if not text.strip():
                continue
            lead = len(text) - len(text.lstrip())
            words = text.strip()
            style = (' font-weight="bold"' if row[start][3] else "") + (
                ' text-decoration="underline"' if row[start][4] else ""
            )
            out.append(
                f'<text x="{MARGIN + (start + lead) * CELL[0]:.2f}" y="{top + 13:.1f}" fill="{row[start][1]}" '
                f'textLength="{len(words) * CELL[0]:.2f}"{style}>{escape(words)}</text>'
            )
    out += ["</g>", "</svg>"]
    path.write_text("\n".join(out) + "\n", encoding="utf-8")


def write_png(terminal: Terminal, path: Path, scale: int = 2) -> None:
    """The screen as PNG, drawn cell by cell."""
    from PIL import Image, ImageDraw

    shown = cells(terminal)
    size = FONT_SIZE * scale
    plain = _font(size)
    across, down = plain.getlength("M"), round(CELL[1] * scale)
    margin = MARGIN * scale
    picture = Image.new(
        "RGB", (round(terminal.columns * across) + 2 * margin, terminal.rows * down + 2 * margin), paper_of(shown)
    )
    draw = ImageDraw.Draw(picture)
    for y, row in enumerate(shown):
        top = margin + y * down
        for start, end in runs([cell[2] for cell in row]):
            left = margin + start * across
            draw.rectangle((left, top, margin + end * across - 1, top + down - 1), fill=row[start][2])
        for x, (text, ink, _, bold, underlined) in enumerate(row):
            left = margin + x * across
            if _drawn(draw, text, left, top, across, down, ink):
                pass
            elif text.strip():
                # The one font has no bold beside it everywhere: a hair of stroke stands for it.
                draw.text((left, top + scale), text, font=plain, fill=ink, stroke_width=0.35 * scale if bold else 0)
            if underlined:
                draw.line((left, top + down - scale, left + across, top + down - scale), fill=ink, width=scale)
    # By octree: the median cut merges a colour that only one word has with its neighbour.
    picture.quantize(128, method=Image.Quantize.FASTOCTREE).save(path, optimize=True)


def _drawn(draw: Any, text: str, left: float, top: float, across: float, down: float, ink: str) -> bool:
    """Draw what must fill its cell, or what few fonts have; False for everything else."""
    code = ord(text[0]) if text else 0
    if 0x2800 <= code <= 0x28FF:
        for bit, (x, y) in enumerate(((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))):
            if (code - 0x2800) >> bit & 1:
                middle = (left + across * (0.25 + 0.5 * x), top + down * (0.125 + 0.25 * y))
                radius = across * 0.13
                draw.ellipse((middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius), fill=ink)
        return True
    if 0x2581 <= code <= 0x2588:
        draw.rectangle((left, top + down * (0x2588 - code) / 8, left + across - 0.01, top + down - 1), fill=ink)
        return True
    if 0x2589 <= code <= 0x258F:
        draw.rectangle((left, top, left + across * (0x2590 - code) / 8, top + down - 1), fill=ink)
        return True
    return False


def _font(size: int) -> Any:
    from PIL import ImageFont

    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    raise SystemExit("PNG needs the font DejaVu Sans Mono: apt install fonts-dejavu-core")


def runs(values: Sequence[object]) -> list[tuple[int, int]]:
    """Stretches of equal neighbours, as (start, end)."""
    found, start = [], 0
    for index in range(1, len(values) + 1):
        if index == len(values) or values[index] != values[start]:
            found.append((start, index))
            start = index
    return found
