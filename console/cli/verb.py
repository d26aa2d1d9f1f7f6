"""What all commands have in common: the options that may stand anywhere, the session, the query, the confirmation."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backends.contract import Page
from console.cli.output import Col, narrate, print_json, print_table
from console.config import nearest

if TYPE_CHECKING:
    from backends.contract import Backend, Mutation
    from backends.query import Fields, Query
    from console.config import Session


class Invocation:
    """One command line: where it works, how it answers. The session opens on first use."""

    def __init__(self) -> None:
        self.context: str | None = None
        self.workspace: Path | None = None
        self.read_only = False
        self.json = False
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        if self._session is None:
            from console.config import open_session

            self._session = open_session(self.context, self.workspace, self.read_only)
        return self._session

    @property
    def backend(self) -> Backend:
        return self.session.backend

    def need(self, capability: str) -> Any:
        """The backend's capability, or an `Unsupported` that says why it has none."""
        return self.backend.need(capability)

    def home(self) -> Path:
        """The workspace directory, where the context has one."""
        from backends.contract import Unsupported

        if self.session.workspace is None:
            raise Unsupported(f"context {self.session.context.name}: it has no workspace directory on this machine")
        return self.session.workspace

    def mutation(self, reason: str = "", key: str = "") -> Mutation:
        return self.session.mutation(reason, key)

    def close(self) -> None:
        if self._session is not None:
            self._session.backend.close()
            self._session = None

    def show(self, document: object, human: Callable[[], None]) -> None:
        """The document as JSON, or as a person reads it."""
        if self.json:
            print_json(document)
        else:
            human()

    def show_page(self, page: Page[Any], columns: list[Col[Any]], *, empty: str) -> None:
        """A list: `{"items": […], "next": …}`, or a table and how to go on."""
        if self.json:
            print_json({"items": page.items, "next": page.next} | ({"note": page.note} if page.note else {}))
            return
        print_table(page.items, columns, empty=empty)
        if page.note:
            narrate(page.note)
        if page.next:
            narrate(f"more: --at {page.next}")

    def show_items(self, items: Any, columns: list[Col[Any]], *, empty: str) -> None:
        """A list that is whole."""
        self.show_page(Page(items=tuple(items)), columns, empty=empty)

    def confirm(self, name: str, given: str | None, *, deed: str, production_only: bool = True) -> None:
        """Before production changes, or what cannot be undone: the name must have been typed."""
        if production_only and not self.session.context.production:
            return
        where = f"context {self.session.context.name}" + (" (PRODUCTION)" if self.session.context.production else "")
        if given is None and sys.stdin.isatty() and sys.stderr.isatty() and not self.json:
            narrate(f"{deed} in {where}")
            given = click.prompt(f"type {name} to go on", default="", show_default=False, err=True)
        if given != name:
            raise click.UsageError(f"{deed} in {where} wants the name typed: --confirm {name}. Nothing was changed.")


# ---------------------------------------------------------------- options that may stand anywhere


def _take(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep a shared option, wherever on the line it stood; one that was not given changes nothing."""
    if value is None or value is False:
        return
    invocation = ctx.ensure_object(Invocation)
    setattr(invocation, param.name or "", value)


def shared_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--context"],
            metavar="NAME",
            expose_value=False,
            callback=_take,
            help="Work on this context of config.toml.",
        ),
        click.Option(
            ["--workspace"],
            metavar="DIR",
            type=click.Path(file_okay=False, path_type=Path),
            expose_value=False,
            callback=_take,
            help="Work on the embedded store in this directory.",
        ),
        click.Option(
            ["--read-only"],
            is_flag=True,
            expose_value=False,
            callback=_take,
            help="Refuse every change.",
            is_eager=True,
        ),
        click.Option(
            ["--json"], is_flag=True, expose_value=False, callback=_take, help="Print one JSON document.", is_eager=True
        ),
    ]


class _Shared(click.Command):
    """Takes the shared options besides its own."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *shared_options()]

    def _help_records(self, ctx: click.Context) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The help of its own options, and of the shared ones."""
        shared = {option.opts[0] for option in shared_options()}
        own: list[tuple[str, str]] = []
        everywhere: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                (everywhere if param.opts[0] in shared else own).append(record)
        return own, everywhere

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own, everywhere = self._help_records(ctx)
        with formatter.section("Options"):
            formatter.write_dl(own)
        with formatter.section("Everywhere"):
            formatter.write_dl(everywhere)


class Verb(_Shared):
    """A command that takes the shared options too."""


class Noun(_Shared, click.Group):
    """A group of verbs. A mistyped verb is answered with the nearest one."""

    command_class = Verb

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            what = f"{ctx.info_name} has no verb" if ctx.parent is not None else "there is no noun"
            raise click.UsageError(f"{what} {name}{nearest(name, known)}; known are {', '.join(known)}", ctx)
        return super().resolve_command(ctx, args)


# ---------------------------------------------------------------- lists


def listing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every list: QUERY words, --where, --sort, --limit, --at."""
    for decorate in (
        click.option("--at", default="", metavar="CURSOR", help="Go on from what an earlier list gave as next."),
        click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most."),
        click.option("--sort", default="", metavar="KEY [desc]", help="Order, such as 'metrics.auc desc'."),
        click.option("--where", default="", metavar="QUERY", help="Filter; the same as the QUERY words."),
        click.argument("query", nargs=-1),
    ):
        command = decorate(command)
    return command


def parsed_query(words: tuple[str, ...], where: str, sort: str, fields: Fields) -> Query:
    """The filter and order of a list, from its words or --where, and --sort."""
    if words and where:
        raise click.UsageError("the filter is given twice: as words and as --where; give it once")
    from backends.query import parse

    text = where or " ".join(words)
    return parse(f"{text} order by {sort}".strip() if sort else text, fields)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A watch that ends with Ctrl-C has done what was asked: no error."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write("\n")


def reason_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--reason and --key, for every change."""
    for decorate in (
        click.option(
            "--key", default="", metavar="KEY", help="Idempotency key: the same key again changes nothing twice."
        ),
        click.option("--reason", "-m", default="", metavar="TEXT", help="Why; it stands in the journal."),
    ):
        command = decorate(command)
    return command


def key_values(pairs: tuple[str, ...], option: str) -> dict[str, str]:
    """`a=1 b=2` of a repeated option."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{option} {pair}: wanted NAME=VALUE")
        found[name.strip()] = value
    return found
