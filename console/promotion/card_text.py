"""A card as a file: Markdown, one self-contained page of HTML, or JSON.

What others wrote is harmless in each: no markup of theirs is obeyed, nothing is fetched from elsewhere.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from backends.contract import Invalid
from console.promotion.card import Card
from console.promotion.card_sections import Section, Table, sections, title_of
from console.safe import safe_lines, safe_text

FORMATS: Final = ("md", "html", "json")


def card_text(card: Card, kind: str) -> str:
    """The whole file. Invalid for a format that there is not."""
    if kind == "md":
        return _markdown(card)
    if kind == "html":
        return _html(card)
    if kind == "json":
        return msgspec.json.format(msgspec.json.encode(card), indent=2).decode() + "\n"
    raise Invalid(f"{kind!r} is no format of a card; there are {', '.join(FORMATS)}", "format")


# ---------------------------------------------------------------- Markdown

_MARKS: Final = re.compile(r"[\\`*_{}\[\]<>()#+!|~&$@:=^-]")
"""What some Markdown obeys. A backslash before punctuation is that punctuation, in every dialect."""


def escaped(value: object) -> str:
    """One line of text that Markdown takes for nothing but text."""
    return _MARKS.sub(lambda found: "\\" + found.group(), safe_text(value))


def _markdown(card: Card) -> str:
    parts = [f"# Model card: {escaped(title_of(card))}", ""]
    for section in sections(card):
        parts += [f"## {section.title}", ""]
        if section.facts:
            parts += _md_table(Table(titles=("", ""), rows=section.facts))
        for table in section.tables:
            parts += _md_table(table)
        if section.text:
            parts += [*_fenced(section.text), ""]
        if section.remark:
            parts += [escaped(section.remark), ""]
    return "\n".join(parts)


def _md_table(table: Table) -> Iterator[str]:
    yield "| " + " | ".join(map(escaped, table.titles)) + " |"
    yield "|" + " --- |" * len(table.titles)
    for row in table.rows:
        yield "| " + " | ".join(map(escaped, row)) + " |"
    yield ""


def _fenced(text: str) -> Iterator[str]:
    """Verbatim, between fences longer than any within."""
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}toml"
    yield from safe_lines(text.rstrip("\n"))
    yield fence


# ---------------------------------------------------------------- HTML

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid #8886; }
table { border-collapse: collapse; margin: .6rem 0; display: block; overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .15rem .9rem .15rem 0; overflow-wrap: anywhere; }
th { font-weight: 600; border-bottom: 1px solid #8886; } .facts td:first-child { opacity: .7; white-space: nowrap; }
pre { overflow-x: auto; padding: .7rem; border: 1px solid #8886; } .remark { opacity: .7; }
"""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def _html(card: Card) -> str:
    title = _text(f"Model card: {title_of(card)}")
    body = "\n".join(line for section in sections(card) for line in _html_section(section))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return html.escape(safe_text(value), quote=True)


def _html_section(section: Section) -> Iterator[str]:
    yield f"<section>\n<h2>{_text(section.title)}</h2>"
    if section.facts:
        yield '<table class="facts">'
        yield from _html_rows(section.facts)
        yield "</table>"
    for table in section.tables:
        yield "<table>"
        yield "<tr>" + "".join(f"<th>{_text(each)}</th>" for each in table.titles) + "</tr>"
        yield from _html_rows(table.rows)
        yield "</table>"
    if section.text:
        yield "<pre>" + "\n".join(html.escape(line, quote=True) for line in safe_lines(section.text)) + "</pre>"
    if section.remark:
        yield f'<p class="remark">{_text(section.remark)}</p>'
    yield "</section>"


def _html_rows(rows: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    for row in rows:
        yield "<tr>" + "".join(f"<td>{_text(each)}</td>" for each in row) + "</tr>"
