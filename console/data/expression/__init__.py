"""Expressions over the columns of a row: what checks, transforms and feature sets are written in.

    dep_delay > 15 and carrier in ('AA', 'UA')
    if(distance > 0, air_time / distance, null)
    "column with spaces" is not null or matches(tail, '^N[0-9]+')

Text in single quotes, odd column names in double ones. Missing values make the result missing, as in SQL; `and`, `or`
and `not` follow three-valued logic. Dividing by zero gives a missing value. Nothing here runs Python that a person
wrote: a text is parsed to a tree of known functions, each of them one of Arrow's.
"""

from __future__ import annotations

from console.data.expression.functions import FUNCTIONS, Function
from console.data.expression.parse import Expression, parse_expression
from console.data.expression.tokens import ExpressionError

__all__ = ["FUNCTIONS", "Expression", "ExpressionError", "Function", "parse_expression"]
