"""From the text of an expression to its typed tree. Every fault is told with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from backends.entities import Column, ColumnType
from backends.query_keys import nearest
from console.data.expression.functions import ANY, FUNCTIONS, NUMBER, TIME, Function, common
from console.data.expression.literals import moment_of, number_of, regex_trouble
from console.data.expression.tokens import ExpressionError, Token, Word, tokens
from console.data.expression.tree import Among, Arithmetic, Call, ColumnRef, Comparison, IsNull, Literal, Logic, Node

DEEPEST: Final = 60
"""Brackets within brackets."""
_COMPARE: Final = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_KEYWORDS: Final = frozenset({"and", "or", "not", "is", "null", "in", "between", "true", "false"})
_WORDS: Final = {
    ColumnType.INT: "a whole number",
    ColumnType.FLOAT: "a number",
    ColumnType.BOOL: "true or false",
    ColumnType.STRING: "text",
    ColumnType.DATETIME: "a time",
    ColumnType.DATE: "a date",
    ColumnType.OTHER: "nested",
    None: "null",
}


class Expression:
    """A parsed expression. Immutable; safe to use from several threads."""

    def __init__(self, text: str, tree: Node, columns: tuple[str, ...]) -> None:
        self.text = text
        self.tree = tree
        self.columns = columns
        """The columns that it reads, in the order in which they are named."""

    @property
    def type(self) -> ColumnType:
        """Of what it gives."""
        return self.tree.type or ColumnType.STRING

    def evaluate(self, batch: Any) -> Any:
        """The values for each row of a pyarrow RecordBatch (or Table of one chunk a column), as an Arrow array.

        Invalid where the batch lacks a column, or where a whole number grows past 64 bits.
        """
        from console.data.expression.evaluate import evaluate  # pyarrow: 0.1 s

        return evaluate(self, batch)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def parse_expression(text: str, columns: Sequence[Column], *, wanted: ColumnType | None = None) -> Expression:
    """The expression in `text` over these columns. ExpressionError (an Invalid) tells what is wrong and where.

    `wanted` BOOL refuses what is not a condition.
    """
    parser = _Parser(text, {column.name: column.type for column in columns})
    tree = parser.whole()
    if wanted is not None and tree.type is not wanted:
        fits = wanted is ColumnType.FLOAT and tree.type in NUMBER
        if not fits:
            raise ExpressionError(
                f"this gives {_WORDS[tree.type]}, and {_WORDS[wanted]} is wanted", text, tree.start, tree.end
            )
    return Expression(text, tree, tuple(parser.read))


class _Parser:
    def __init__(self, text: str, columns: Mapping[str, ColumnType]) -> None:
        self._text = text
        self._columns = columns
        self._tokens = list(tokens(text))
        self._at = 0
        self._depth = 0
        self.read: dict[str, None] = {}

    # ------------------------------------------------------------ words

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _ended(self) -> bool:
        return self._next.kind is Word.END

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _is(self, word: str) -> bool:
        """The next word is this keyword or sign."""
        token = self._next
        if token.kind is Word.NAME:
            return token.value.lower() == word
        return token.kind is Word.SIGN and token.value == word

    def _skip(self, word: str) -> bool:
        if self._is(word):
            self._take()
            return True
        return False

    def _wrong(self, message: str, token: Token | Node) -> ExpressionError:
        return ExpressionError(message, self._text, token.start, token.end)

    def _expect(self, word: str, why: str) -> Token:
        if not self._is(word):
            found = self._next
            what = "it ends here" if found.kind is Word.END else f"found {found.value!r}"
            raise self._wrong(f"wanted {word} {why}, and {what}", found)
        return self._take()

    # ------------------------------------------------------------ grammar, loosest first

    def whole(self) -> Node:
        if self._ended():
            raise self._wrong("the expression is empty", self._next)
        tree = self._either()
        if not self._ended():
            found = self._next
            hint = "; an operator such as + or and is missing before it" if found.kind is not Word.SIGN else ""
            raise self._wrong(f"{found.value!r} cannot follow here{hint}", found)
        return tree

    def _either(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(f"over {DEEPEST} brackets within brackets", self._next)
        left = self._both()
        while self._skip("or"):
            left = self._joined("or", left, self._both())
        self._depth -= 1
        return left

    def _both(self) -> Node:
        left = self._not()
        while self._skip("and"):
            left = self._joined("and", left, self._not())
        return left

    def _joined(self, word: str, left: Node, right: Node) -> Node:
        for side in (left, right):
            self._require(side, (ColumnType.BOOL,), f"each side of {word}")
        return Logic(ColumnType.BOOL, left.start, right.end, word, (left, right))

    def _not(self) -> Node:
        if self._is("not"):
            first = self._take()
            self._deeper()
            inner = self._not()
            self._depth -= 1
            self._require(inner, (ColumnType.BOOL,), "after not")
            return Logic(ColumnType.BOOL, first.start, inner.end, "not", (inner,))
        return self._compared()

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(f"over {DEEPEST} signs or brackets within each other", self._next)

    def _compared(self) -> Node:
        left = self._sum()
        if self._next.kind is Word.SIGN and self._next.value in _COMPARE:
            sign = self._take()
            right = self._sum()
            compared = self._comparison(_COMPARE[sign.value], left, right)
            if self._next.kind is Word.SIGN and self._next.value in _COMPARE:
                raise self._wrong("comparisons cannot be chained; join two with and", self._next)
            return compared
        if self._skip("is"):
            negated = self._skip("not")
            end = self._expect("null", "after is")
            return IsNull(ColumnType.BOOL, left.start, end.end, left, negated)
        negated = self._skip("not")
        if self._skip("in"):
            return self._among(left, negated)
        if self._skip("between"):
            low = self._sum()
            self._expect("and", "between the two ends of between")
            high = self._sum()
            sides = (self._comparison(">=", left, low), self._comparison("<=", left, high))
            inside = Logic(ColumnType.BOOL, left.start, high.end, "and", sides)
            return Logic(ColumnType.BOOL, left.start, high.end, "not", (inside,)) if negated else inside
        if negated:
            raise self._wrong("wanted in or between after not", self._next)
        return left

    def _comparison(self, sign: str, left: Node, right: Node) -> Node:
        left, right = self._as_time(left, right), self._as_time(right, left)
        if left.type is not None and right.type is not None and common((left.type, right.type)) is None:
            raise ExpressionError(
                f"{_WORDS[left.type]} cannot be compared with {_WORDS[right.type]}",
                self._text, left.start, right.end,
            )  # fmt: skip
        for side in (left, right):
            if side.type is ColumnType.OTHER:
                raise self._wrong("a nested column can only be asked whether it is null", side)
            if side.type is None:
                raise self._wrong("comparing with null is never true; write is null", side)
        return Comparison(ColumnType.BOOL, left.start, right.end, sign, left, right)

    def _among(self, value: Node, negated: bool) -> Node:
        self._expect("(", "before the choices of in")
        choices: list[Literal] = []
        while True:
            choice = self._as_time(self._unary(), value)
            if not isinstance(choice, Literal) or choice.value is None:
                raise self._wrong("the choices of in are written out: numbers or texts", choice)
            if value.type is not None and (choice.type is None or common((value.type, choice.type)) is None):
                raise self._wrong(f"{_WORDS[choice.type]} cannot be among values that are {_WORDS[value.type]}", choice)
            choices.append(choice)
            if not self._skip(","):
                break
        end = self._expect(")", "after the choices of in")
        return Among(ColumnType.BOOL, value.start, end.end, value, tuple(choices), negated)

    def _sum(self) -> Node:
        left = self._product()
        while self._next.kind is Word.SIGN and self._next.value in "+-":
            sign = self._take()
            right = self._product()
            if sign.value == "+" and ColumnType.STRING in (left.type, right.type):
                raise ExpressionError(
                    "texts are put together with concat(a, b), not with +", self._text, left.start, right.end
                )
            left = self._arithmetic(sign, left, right)
        return left

    def _product(self) -> Node:
        left = self._unary()
        while self._next.kind is Word.SIGN and self._next.value in ("*", "/", "//", "%"):
            sign = self._take()
            left = self._arithmetic(sign, left, self._unary())
        return left

    def _arithmetic(self, sign: Token, left: Node, right: Node) -> Node:
        for side in (left, right):
            if side.type in TIME:
                raise self._wrong(
                    "times are not added or subtracted; see hours_between(from, to) and add_hours(t, n)", side
                )
            self._require(side, NUMBER, f"each side of {sign.value}")
        exact = sign.value != "/" and ColumnType.FLOAT not in (left.type, right.type)
        kind = ColumnType.INT if exact else ColumnType.FLOAT
        return Arithmetic(kind, left.start, right.end, sign.value, left, right)

    def _unary(self) -> Node:
        if self._next.kind is Word.SIGN and self._next.value in "+-":
            sign = self._take()
            self._deeper()
            inner = self._unary()
            self._depth -= 1
            self._require(inner, NUMBER, f"after {sign.value}")
            if isinstance(inner, Literal) and not isinstance(inner.value, bool) and inner.value is not None:
                value = -inner.value if sign.value == "-" else inner.value
                return Literal(inner.type, sign.start, inner.end, value)
            zero = Literal(ColumnType.INT, sign.start, sign.end, 0)
            return self._arithmetic(sign, zero, inner)
        return self._power()

    def _power(self) -> Node:
        base = self._single()
        if self._next.kind is Word.SIGN and self._next.value in ("**", "^"):
            self._take()
            self._deeper()
            exponent = self._unary()
            self._depth -= 1
            for side in (base, exponent):
                self._require(side, NUMBER, "each side of a power")
            return Call(ColumnType.FLOAT, base.start, exponent.end, "power", (base, exponent))
        return base

    def _single(self) -> Node:
        token = self._take()
        if token.kind is Word.NUMBER:
            return self._number(token)
        if token.kind is Word.TEXT:
            return Literal(ColumnType.STRING, token.start, token.end, token.value)
        if token.kind is Word.COLUMN:
            return self._column(token)
        if token.kind is Word.NAME:
            return self._named(token)
        if token.kind is Word.SIGN and token.value == "(":
            inner = self._either()
            self._expect(")", "to close the bracket")
            return inner
        if token.kind is Word.END:
            raise self._wrong("something is missing at the end", token)
        raise self._wrong(f"{token.value!r} cannot stand here; a column, a number or a text is wanted", token)

    def _number(self, token: Token) -> Literal:
        value = number_of(token.value)
        if value is None:
            raise self._wrong("this number is too large; a whole one has at most 63 bits, write it as 1e20", token)
        kind = ColumnType.INT if isinstance(value, int) else ColumnType.FLOAT
        return Literal(kind, token.start, token.end, value)

    def _named(self, token: Token) -> Node:
        word = token.value.lower()
        if self._next.kind is Word.SIGN and self._next.value == "(" and word not in _KEYWORDS:
            return self._call(token)
        if token.value not in self._columns and word in ("true", "false", "null"):
            kind = None if word == "null" else ColumnType.BOOL
            return Literal(kind, token.start, token.end, {"true": True, "false": False}.get(word))
        if word in _KEYWORDS and token.value not in self._columns:
            raise self._wrong(f"{word} cannot stand here; a column, a number or a text is wanted", token)
        return self._column(token)

    def _column(self, token: Token) -> Node:
        kind = self._columns.get(token.value)
        if kind is None:
            close = nearest(token.value, self._columns)
            if close:
                hint = f"; did you mean {close}?"
            elif token.kind is Word.COLUMN:
                hint = f"; a text goes in single quotes: '{token.value[:40]}'"
            elif token.value.lower() in FUNCTIONS:
                hint = f"; {token.value.lower()} is a function: {FUNCTIONS[token.value.lower()].words}"
            else:
                hint = f"; there are {', '.join(list(self._columns)[:8])}{' …' if len(self._columns) > 8 else ''}"
            raise self._wrong(f"there is no column {token.value}{hint}", token)
        self.read[token.value] = None
        return ColumnRef(kind, token.start, token.end, token.value)

    # ------------------------------------------------------------ calls

    def _call(self, name: Token) -> Node:
        word = name.value.lower()
        function = FUNCTIONS.get(word)
        if function is None:
            close = nearest(word, FUNCTIONS)
            hint = f"; did you mean {close}?" if close else f"; there are {', '.join(sorted(FUNCTIONS))}"
            raise self._wrong(f"there is no function {name.value}{hint}", name)
        self._take()
        arguments: list[Node] = []
        if not self._is(")"):
            arguments.append(self._either())
            while self._skip(","):
                arguments.append(self._either())
        end = self._expect(")", f"to close {word}(")
        arguments = self._checked(word, function, arguments, name)
        values = arguments[1:] if word == "if" else arguments
        known = [each.type for each in values if each.type is not None]
        if not known and values:
            raise self._wrong(f"{word} is given nothing but null", name)
        filler = common(known) or (known[0] if known else ColumnType.STRING)  # what a bare null stands for here
        types = [each.type or filler for each in arguments]
        return Call(function.gives(types), name.start, end.end, word, tuple(arguments))

    def _checked(self, word: str, function: Function, arguments: list[Node], name: Token) -> list[Node]:
        least, most = len(function.takes), 10_000 if function.more else len(function.takes)
        if word == "round":
            most = 2
        if not least <= len(arguments) <= most:
            raise self._wrong(f"{word} is called as {function.words}; here it has {len(arguments)} arguments", name)
        takes = list(function.takes) + [function.takes[-1]] * (len(arguments) - least)
        if word == "round" and len(arguments) == 2:
            takes[1] = (ColumnType.INT,)
            self._written(arguments[1], "the second argument of round")
        for number, (argument, kinds) in enumerate(zip(arguments, takes, strict=True)):
            if argument.type is None and word not in ("if", "coalesce"):
                raise self._wrong(f"null cannot be given to {word}", argument)
            if argument.type is not None:
                self._require(argument, kinds, f"argument {number + 1} of {word}")
            if number in function.literal:
                self._written(argument, f"argument {number + 1} of {word}")
        self._check_options(word, arguments)
        values = arguments[1:] if word == "if" else arguments
        if function.takes[-1] == ANY and word != "concat" and len(values) > 1:
            kinds = tuple({each.type for each in values if each.type is not None})
            if kinds and common(kinds) is None:
                raise ExpressionError(
                    f"{word} needs values of one type, and these are {' and '.join(sorted(_WORDS[k] for k in kinds))}",
                    self._text, values[0].start, values[-1].end,
                )  # fmt: skip
        return arguments

    def _check_options(self, word: str, arguments: Sequence[Node]) -> None:
        if word == "substring":
            first, length = (each.value for each in arguments[1:] if isinstance(each, Literal))
            if first < 1 or length < 0:
                raise self._wrong("substring counts from 1, and its length is 0 or more", arguments[1])
        if word == "matches" and isinstance(arguments[1], Literal):
            trouble = regex_trouble(arguments[1].value)
            if trouble:
                raise self._wrong(f"this regular expression is not valid: {trouble}", arguments[1])
        digits = arguments[1] if word == "round" and len(arguments) == 2 else None
        if isinstance(digits, Literal) and abs(digits.value) > 15:
            raise self._wrong("round goes to at most 15 digits", digits)

    def _written(self, node: Node, what: str) -> None:
        if not isinstance(node, Literal):
            raise self._wrong(f"{what} must be written out, not computed", node)

    def _require(self, node: Node, kinds: Sequence[ColumnType], what: str) -> None:
        if node.type is not None and node.type not in kinds:
            wanted = "a number" if set(kinds) == set(NUMBER) else " or ".join(dict.fromkeys(_WORDS[k] for k in kinds))
            raise self._wrong(f"{what} must be {wanted}, and this is {_WORDS[node.type]}", node)

    def _as_time(self, node: Node, other: Node) -> Node:
        """A text beside a time is a time: `'2013-01-31'`, `'2013-01-31 14:05'`."""
        if other.type not in TIME or not isinstance(node, Literal) or node.type is not ColumnType.STRING:
            return node
        moment = moment_of(node.value)
        if moment is None:
            raise self._wrong(f"{node.value[:40]!r} is no time; write it like '2013-01-31' or '2013-01-31 14:05'", node)
        return Literal(ColumnType.DATETIME, node.start, node.end, moment)
