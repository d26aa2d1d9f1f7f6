"""One filter and sort language, parsed to a tree; each backend compiles the tree.

    status = finished and metrics.auc > 0.7 order by metrics.auc desc

Attributes stand alone; metrics, parameters and tags are `metrics.x`, `params.x`, `tags.x`, odd names in backticks.
`=` `!=` `<` `<=` `>` `>=` compare, `~` and `!~` ask whether a text contains another, `like` and `ilike` read `%`
and `_`; `in (a, b)`, `has:metrics.auc`; `and` (also unspoken), `or`, `not`, parentheses. A bare word is searched
in names, notes, tags and parameters. Times are dates, moments, epoch milliseconds, or ages: `created > 7d` is
"within the last seven days". Every MLflow filter of runs is a query of this language.
"""

from __future__ import annotations

from backends.query_complete import complete
from backends.query_fields import (
    DATASET_FIELDS,
    DEPLOYMENT_FIELDS,
    JOURNAL_FIELDS,
    MODEL_FIELDS,
    MONITOR_FIELDS,
    RUN_FIELDS,
    VERSION_FIELDS,
)
from backends.query_match import lookup_of, lookup_of_attributes, matches, select, sort
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
    Scope,
    Suggestion,
    Text,
)
from backends.query_parse import parse, parse_order
from backends.query_text import to_text

__all__ = [
    "DATASET_FIELDS",
    "DEPLOYMENT_FIELDS",
    "JOURNAL_FIELDS",
    "MODEL_FIELDS",
    "MONITOR_FIELDS",
    "RUN_FIELDS",
    "VERSION_FIELDS",
    "And",
    "Compare",
    "Fields",
    "Has",
    "In",
    "Key",
    "Node",
    "Not",
    "Operator",
    "Or",
    "Order",
    "Query",
    "QueryError",
    "Scope",
    "Suggestion",
    "Text",
    "complete",
    "lookup_of",
    "lookup_of_attributes",
    "matches",
    "parse",
    "parse_order",
    "select",
    "sort",
    "to_text",
]
