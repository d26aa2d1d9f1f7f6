"""Four themes, and the tones that everything drawn here is coloured by.

A tone is a meaning (`good`, `bad`, `accent`, …), never a colour: panes name tones, themes give them colours. The widget
variables of Textual come from the same palette, so there is one place where a colour is written.
"""

from __future__ import annotations

from typing import NamedTuple

from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme


class Palette(NamedTuple):
    """The colours of a theme. In `ansi` they are the person's own sixteen."""

    background: str
    foreground: str
    dim: str
    border: str
    accent: str
    ok: str
    warn: str
    bad: str
    prod: str
    cursor: str
    """Background of the row under the cursor."""
    dark: bool = True
    ansi: bool = False


PALETTES: dict[str, Palette] = {
    "console-dark": Palette(
        "#12161b", "#d5dbe3", "#7f8a96", "#303841", "#6cb6ff", "#5fc98f", "#e2b24a", "#f4766c", "#e57fbd", "#243444"
    ),
    "console-light": Palette(
        "#fbfbf9",
        "#1f2328",
        "#636c76",
        "#d0d5da",
        "#0757ad",
        "#14713a",
        "#8a5a00",
        "#b3261e",
        "#98257d",
        "#dbe8f8",
        False,
    ),
    # Okabe and Ito's colours on black: told apart with deuteranopia, protanopia and tritanopia.
    "high-contrast": Palette(
        "#000000", "#ffffff", "#c0c0c0", "#8a8a8a", "#56b4e9", "#00d3a0", "#f0e442", "#ff8c1a", "#ff9fe0", "#003f7f"
    ),
    "ansi": Palette(
        "default",
        "default",
        "bright_black",
        "bright_black",
        "blue",
        "green",
        "yellow",
        "red",
        "magenta",
        "default",
        ansi=True,
    ),
}

DEFAULT = "console-dark"

TONES = (
    "",
    "dim",
    "head",
    "accent",
    "key",
    "good",
    "warn",
    "bad",
    "prod",
    "border",
    "mark",
    "badge",
    "badge-prod",
    "badge-bad",
)


def tones(palette: Palette) -> dict[str, Style]:
    """A style for each tone, on the theme's background."""
    ground = None if palette.ansi else palette.background

    def on(color: str, *, bold: bool = False, reverse: bool = False) -> Style:
        named = None if color == "default" else color
        return Style(color=named, bgcolor=ground, bold=bold or None, reverse=reverse or None)

    return {
        "": on(palette.foreground),
        "dim": on(palette.dim),
        "head": on(palette.foreground, bold=True),
        "accent": on(palette.accent),
        "key": on(palette.accent, bold=True),
        "good": on(palette.ok),
        "warn": on(palette.warn),
        "bad": on(palette.bad, bold=True),
        "prod": on(palette.prod, bold=True),
        "border": on(palette.border),
        "mark": on(palette.accent, bold=True),
        "badge": on(palette.accent, bold=True, reverse=True),
        "badge-prod": on(palette.prod, bold=True, reverse=True),
        "badge-bad": on(palette.bad, bold=True, reverse=True),
    }


def cursor_style(palette: Palette) -> Style:
    """Laid over a row's own styles: a background, or reverse where the colours are the person's own."""
    return Style(reverse=True) if palette.ansi else Style(bgcolor=palette.cursor)


def textual_theme(name: str) -> Theme:
    palette = PALETTES[name]

    def web(color: str) -> str:
        return f"ansi_{color}" if palette.ansi else color

    return Theme(
        name=name,
        primary=web(palette.accent),
        secondary=web(palette.accent),
        accent=web(palette.accent),
        warning=web(palette.warn),
        error=web(palette.bad),
        success=web(palette.ok),
        foreground=web(palette.foreground),
        background=web(palette.background),
        surface=web(palette.background),
        panel=web(palette.background),
        dark=palette.dark,
        ansi=palette.ansi,
        variables=(BUILTIN_THEMES["ansi-dark"].variables if palette.ansi else {})
        | {
            "dim": web(palette.dim),
            "rule": web(palette.border),
            "state-ok": web(palette.ok),
            "state-warn": web(palette.warn),
            "state-bad": web(palette.bad),
            "state-run": web(palette.accent),
            "state-prod": web(palette.prod),
            "cursor-row": web(palette.cursor),
            "scrollbar": web(palette.border),
            "scrollbar-hover": web(palette.dim),
            "scrollbar-active": web(palette.accent),
            "scrollbar-background": web(palette.background),
            "scrollbar-background-hover": web(palette.background),
            "scrollbar-background-active": web(palette.background),
            "scrollbar-corner-color": web(palette.background),
            "input-cursor-background": web(palette.accent),
            "input-cursor-foreground": web(palette.background),
            "block-cursor-background": web(palette.cursor),
            "block-cursor-foreground": web(palette.foreground),
            "block-cursor-text-style": "reverse" if palette.ansi else "none",
            "block-cursor-blurred-background": web(palette.background),
            "block-cursor-blurred-foreground": web(palette.foreground),
            "block-hover-background": web(palette.background),
        },
    )
