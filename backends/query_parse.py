"""Text to tree: `status = finished and metrics.auc > 0.7 order by metrics.auc desc`, and any MLflow filter."""

from __future__ import annotations

import time
from collections.abc import Callable

from backends.entities import Millis
from backends.query_keys import resolve_key, takes
from backends.query_lex import Token, tokens
from backends.query_nodes import (
    And,
    Compare,
    Fields,
    Has,
    In,
    Key,
    Node,
    Not,
    Operator,
    Or,
    Order,
    Query,
    QueryError,
    Text,
)
from backends.query_text import KEYWORDS
from backends.query_values import day_of, read_value

LIMIT_CHARACTERS = 20_000
LIMIT_DEPTH = 50
LIMIT_TERMS = 200
"""SQLite refuses expressions deeper than 1 000; a person stops long before."""


def parse(text: str, fields: Fields, *, now: Millis | None = None) -> Query:
    """The query, or `QueryError`. Ages such as `7d` count back from `now` (epoch milliseconds; by default: now)."""
    if len(text) > LIMIT_CHARACTERS:
        raise QueryError(
            f"the query has {len(text)} characters", LIMIT_CHARACTERS, text, f"at most {LIMIT_CHARACTERS} are read"
        )
    _refuse_unspeakable(text)
    reader = _Reader(text, fields, now if now is not None else time.time_ns() // 1_000_000)
    return reader.query()


def parse_order(text: str, fields: Fields) -> tuple[Order, ...]:
    """Only an order, without the words `order by`: `metrics.auc DESC, created`."""
    _refuse_unspeakable(text)
    reader = _Reader(text, fields, 0)
    order = reader.order()
    reader.expect_end()
    return order


def _refuse_unspeakable(text: str) -> None:
    """NUL and lone surrogates can be in no stored text, and some stores stumble over them."""
    for position, character in enumerate(text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise QueryError(f"the query holds U+{ord(character):04X}", position, text, "remove it")


class _Reader:
    """A place in the tokens of one text."""

    def __init__(self, text: str, fields: Fields, now: Millis) -> None:
        self.text = text
        self.fields = fields
        self.now = now
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0
        self.terms = 0

    # -------------------------------------------------- moving

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.at += 1
        return token

    def error(self, message: str, token: Token, hint: str = "") -> QueryError:
        return QueryError(message, token.start, self.text, hint)

    def expect_end(self) -> None:
        token = self.token
        if token.kind == ")":
            raise self.error("')' closes nothing", token, "remove it, or open a '(' before")
        if token.kind != "end":
            raise self.error(
                f"unexpected {self._shown(token)}",
                token,
                "put quotes around a value that holds spaces, commas or operators",
            )

    def _shown(self, token: Token) -> str:
        if token.kind == "end":
            return "the end"
        shown = self.text[token.start : token.end]
        return repr(shown if len(shown) <= 40 else shown[:39] + "…")

    # -------------------------------------------------- the whole

    def query(self) -> Query:
        where = None if self._at_order() or self.token.kind == "end" else self.either()
        order: tuple[Order, ...] = ()
        if self._at_order():
            self.at += 2
            order = self.order()
        self.expect_end()
        return Query(where=where, order=order)

    def _at_order(self) -> bool:
        return self.token.says("order") and self.peek().says("by")

    def order(self) -> tuple[Order, ...]:
        found: list[Order] = []
        while True:
            first = self.token
            key = self.key("a key to order by")
            if key.scope in ("dataset", "alias"):
                raise self.error(
                    f"{key.scope}s give no order", first, "order by an attribute, a metric, a parameter or a tag"
                )
            descending = self.token.says("desc")
            if descending or self.token.says("asc"):
                self.take()
            if key not in (part.key for part in found):
                found.append(Order(key, descending))
            if self.token.kind != ",":
                return tuple(found)
            self.take()

    # -------------------------------------------------- and, or, not

    def either(self) -> Node:
        return self._joined("or", self.all, Or)

    def all(self) -> Node:
        return self._joined("and", self.unary, And)

    def _joined(self, word: str, part: Callable[[], Node], kind: type[And] | type[Or]) -> Node:
        nodes: list[Node] = []
        while True:
            node = part()
            nodes.extend(node.nodes if isinstance(node, And | Or) and isinstance(node, kind) else (node,))
            if self.token.says(word):
                self.take()
            elif word == "or" or self.token.kind in (")", "end", ",") or self.token.says("or") or self._at_order():
                return nodes[0] if len(nodes) == 1 else kind(tuple(nodes))

    def unary(self) -> Node:
        self.depth += 1
        if self.depth > LIMIT_DEPTH:
            raise self.error(f"more than {LIMIT_DEPTH} conditions inside each other", self.token, "simplify the query")
        try:
            if self.token.says("not") and not self._operator_after(self.token, 1):
                self.take()
                return Not(self.unary())
            if self.token.kind == "(":
                opening = self.take()
                inner = self.either()
                if self.take().kind != ")":
                    raise self.error("'(' is not closed", opening, "close it with )")
                return inner
            return self.term()
        finally:
            self.depth -= 1

    # -------------------------------------------------- one condition

    def term(self) -> Node:
        self.terms += 1
        first = self.token
        if self.terms > LIMIT_TERMS:
            raise self.error(f"more than {LIMIT_TERMS} conditions", first, "simplify the query, or use in (…)")
        if first.kind == "word" and first.text.lower().startswith("has:"):
            return self._has(first)
        if first.kind not in ("word", "quoted"):
            raise self.error(f"expected a condition, found {self._shown(first)}", first, self._example())
        width = 2 if self._split_key(first, self.peek()) else 1
        if self._operator_after(first, width):
            key = self.key("a condition")
            return self.comparison(key)
        if width == 2:
            raise self.error(f"{self._shown(first)} is compared with nothing", first, self._example())
        self.take()
        return self._text(first)

    def _example(self) -> str:
        return "for instance metrics.auc > 0.7" if "metric" in self.fields.scopes else "for instance name ~ churn"

    def _text(self, token: Token) -> Text:
        if token.kind == "word" and token.text.lower() in KEYWORDS:
            raise self.error(
                f"expected a condition, found {self._shown(token)}", token, "quote the word to search for it"
            )
        if token.kind == "word" and ":" in token.text:
            name, _, rest = token.text.partition(":")
            if name.lower() in self.fields.attributes or name.lower() in self.fields.aliases:
                raise self.error(f"unexpected ':' after {name}", token, f"write {name} = {rest or '…'}")
        if not token.text:
            raise self.error("nothing is quoted", token, "remove the quotation marks")
        return Text(token.text)

    def _has(self, token: Token) -> Node:
        rest = token.text[4:]
        start = token.start + 4
        self.take()
        if (not rest or rest.endswith(".")) and self.token.kind == "quoted" and self.token.start == token.end:
            return Has(self._resolve(rest, self.take(), start))
        if not rest:
            raise QueryError("has: names nothing", start, self.text, "for instance has:metrics.auc or has:note")
        return Has(resolve_key(rest, None, self.fields, start, self.text))

    @staticmethod
    def _split_key(first: Token, second: Token) -> bool:
        """``metrics.`a b` ``: a word that ends with a dot, and the quoted name right behind it."""
        return (
            first.kind == "word" and first.text.endswith(".") and second.kind == "quoted" and second.start == first.end
        )

    def _operator_after(self, token: Token, width: int) -> bool:
        """Whether what starts here is compared, and not a bare word."""
        following, then = self.peek(width), self.peek(width + 1)
        if following.kind == "op":
            return True
        if following.says("not"):
            return (then.says("in") and self.peek(width + 2).kind == "(") or then.says("like", "ilike")
        if following.says("in"):
            return not token.says("not")
        if following.says("like", "ilike"):
            return then.kind in ("word", "quoted") and not token.says("not")
        return following.says("is") and then.says("null", "not")

    def key(self, wanted: str) -> Key:
        first = self.take()
        if first.kind not in ("word", "quoted"):
            raise self.error(f"expected {wanted}, found {self._shown(first)}", first, self._example())
        if self._split_key(first, self.token):
            return self._resolve(first.text, self.take(), first.start)
        return resolve_key(first.text, None, self.fields, first.start, self.text)

    def _resolve(self, before: str, quoted: Token, start: int) -> Key:
        return resolve_key(before, quoted.text, self.fields, start, self.text)

    def comparison(self, key: Key) -> Node:
        token = self.take()
        if token.says("is"):
            return self._is_null(key)
        negated = token.says("not")
        if negated:
            token = self.take()
        if token.says("in"):
            return self._in(key, token, negated)
        op: Operator = token.text.lower()  # type: ignore[assignment]  # the lexer and _operator_after let only these through
        takes(key, op, self.fields, token.start, self.text)
        value = self._value_token(key)
        if key == Key("dataset", "ref") and op in ("=", "!=") and "@" not in value.text:
            key = Key("dataset", "name")
        if op == "=" and self._kind(key) == "time" and (day := day_of(value.text)):
            return And((Compare(key, ">=", day[0]), Compare(key, "<", day[1])))
        compare = Compare(key, op, read_value(key, op, value, self.fields, self.now, self.text))
        return Not(compare) if negated else compare

    def _kind(self, key: Key) -> str:
        return self.fields.attributes[key.name] if key.scope == "attribute" else key.scope

    def _value_token(self, key: Key) -> Token:
        value = self.take()
        if value.kind not in ("word", "quoted"):
            raise self.error(
                f"expected a value for {key.name}, found {self._shown(value)}", value, "put quotes around odd values"
            )
        return value

    def _is_null(self, key: Key) -> Node:
        """MLflow's `IS NULL` and `IS NOT NULL`."""
        absent = not self.token.says("not")
        if not absent:
            self.take()
        if not self.token.says("null"):
            raise self.error(
                f"expected null, found {self._shown(self.token)}", self.token, "write is null or is not null"
            )
        self.take()
        return Not(Has(key)) if absent else Has(key)

    def _in(self, key: Key, word: Token, negated: bool) -> Node:
        takes(key, "in", self.fields, word.start, self.text)
        opening = self.take()
        if opening.kind != "(":
            raise self.error(f"expected '(' after in, found {self._shown(opening)}", opening, "write in (a, b)")
        values = []
        while True:
            value = self._value_token(key)
            values.append(read_value(key, "in", value, self.fields, self.now, self.text))
            if self.token.kind == ",":
                self.take()
            elif self.token.kind == ")":
                self.take()
                return In(key, tuple(values), negated)
            elif self.token.kind == "end":
                raise self.error("'(' is not closed", opening, "close it with )")
