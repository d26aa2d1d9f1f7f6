"""`/invocations`, as MLflow's scoring server takes it: JSON in its four forms, or CSV."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

import msgspec

from console.serving.refusal import Refusal
from console.serving.rows import Rows, Shape

FORMS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")
METHODS: Final = ("predict", "predict_proba", "decision_function", "score")


class Call(msgspec.Struct):
    """A call as it came, understood up to where its rows need a model's columns."""

    form: str
    """One of `FORMS`, or `csv`."""
    data: Any
    method: str = "predict"
    """`predict`; `predict_proba` or `decision_function`, where the model has it; `score`: what monitors count, the
    probability (or margin) of the positive class, of every class, or the prediction."""

    def key(self, field: str) -> str | None:
        """The field's value in the first row, whatever the model's columns are."""
        data, found = self.data, None
        if self.form in ("dataframe_split", "csv"):
            names, rows = data.get("columns"), data.get("data")
            if type(names) is list and field in names and type(rows) is list and rows and type(rows[0]) is list:
                at = names.index(field)
                found = rows[0][at] if at < len(rows[0]) else None
        elif type(data) is dict:
            found = data.get(field)
            found = (found[0] if found else None) if type(found) is list else found
        elif type(data) is list and data and type(data[0]) is dict:
            found = data[0].get(field)
        return str(found) if type(found) in (str, int, float, bool) else None

    def rows(self, shape: Shape) -> Rows:
        """Raises Refusal with the field that is wrong."""
        return _rows(self.form, self.data, shape)


def read_call(body: bytes, content_type: str) -> Call:
    """Raises Refusal with the field that is wrong."""
    kind, _, parameters = content_type.partition(";")
    charset = parameters.lower().partition("charset=")[2].split(";")[0].strip(' "')
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise Refusal(415, f"charset {charset[:40]} is not taken; send UTF-8", "Content-Type")
    match kind.strip().lower():
        case "application/json":
            return _json(parse_json(body))
        case "text/csv":
            return Call("csv", _csv(body))
        case other:
            raise Refusal(
                415,
                f"Content-Type {other[:80] or '(none)'} is not taken; send application/json or text/csv",
                "Content-Type",
            )


def parse_json(body: bytes) -> dict[str, Any]:
    """An object; Refusal for anything else, be it nested ever so deep."""
    try:
        said = msgspec.json.decode(body)
    except RecursionError:
        raise Refusal(400, "the body is nested too deep", "body") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "; JSON has no NaN: write null for a missing value" if b"NaN" in body[:100_000] else ""
        raise Refusal(400, f"the body is not JSON: {error}{hint}", "body") from None
    if type(said) is not dict:
        raise Refusal(400, f"the body should be an object with one of {', '.join(FORMS)}", "body")
    return said


def _json(said: dict[str, Any]) -> Call:
    form = ""
    for key in said:
        if key in FORMS:
            if form:
                raise Refusal(400, f"{form} and {key} are both given; give one of them", key)
            form = key
        elif key not in ("params", "signature_name"):
            raise Refusal(400, f"{key[:60]!r} is not known; the rows stand in one of {', '.join(FORMS)}", key[:60])
    if not form:
        raise Refusal(400, f"the rows are missing; give them as one of {', '.join(FORMS)}", "body")
    method = _method(said["params"]) if said.get("params") is not None else "predict"
    if form == "dataframe_split" and type(said[form]) is not dict:
        raise Refusal(400, "dataframe_split: an object with columns and data is wanted", form)
    return Call(form, said[form], method)


def _rows(form: str, data: Any, shape: Shape) -> Rows:
    if form == "dataframe_split":
        names, rows = data.get("columns"), data.get("data")
        if type(rows) is not list:
            raise Refusal(400, "dataframe_split: data: a list of rows is wanted", "data")
        if names is not None and not (type(names) is list and all(type(name) is str for name in names)):
            raise Refusal(400, "dataframe_split: columns: a list of names is wanted", "columns")
        return shape.of_lists(names, rows, of=form)
    if form == "csv":
        return shape.of_text(data["columns"], data["data"], of=form)
    if type(data) is dict and form == "inputs":
        return shape.of_columns(data, of=form)
    if type(data) is not list:
        raise Refusal(400, f"{form}: a list of rows is wanted", form)
    if form == "dataframe_records" or (data and type(data[0]) is dict):
        return shape.of_records(data, of=form)
    if data and type(data[0]) is not list and len(shape.names) == 1:
        data = [[value] for value in data]
    return shape.of_lists(None, data, of=form)


def _method(params: Any) -> str:
    if type(params) is not dict:
        raise Refusal(400, "params: an object is wanted", "params")
    for key in params:
        if key != "predict_method":
            raise Refusal(400, f"params: {key[:60]!r} is not known; there is predict_method", f"params.{key[:60]}")
    method = params.get("predict_method", "predict")
    if method not in METHODS:
        raise Refusal(400, f"params: predict_method is one of {', '.join(METHODS)}", "params.predict_method")
    return str(method)


def _csv(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(400, f"the CSV is not UTF-8 (byte {error.start})", "body") from None
    try:
        table = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error as error:
        raise Refusal(400, f"the CSV cannot be read: {error}", "body") from None
    if not table:
        raise Refusal(400, "the CSV is empty; a header and rows are wanted", "body")
    return {"columns": table[0], "data": table[1:]}
