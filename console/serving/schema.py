"""What to send and what comes back, by the model's signature: a JSON schema of a row, a small OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from backends.entities import Column, ColumnType
from console.serving.fetched import VersionFile
from console.serving.rows import Shape

_TYPES: Final[dict[ColumnType, dict[str, Any]]] = {
    ColumnType.INT: {"type": "integer"},
    ColumnType.FLOAT: {"type": "number"},
    ColumnType.BOOL: {"type": "boolean"},
    ColumnType.STRING: {"type": "string"},
    ColumnType.DATETIME: {"type": "string", "format": "date-time"},
    ColumnType.DATE: {"type": "string", "format": "date"},
    ColumnType.OTHER: {"type": ["number", "string"]},
}


def schema_of(file: VersionFile, shape: Shape) -> dict[str, Any]:
    """JSON Schema (2020-12) of one row."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A row for {file.model} v{file.version}",
        "type": "object",
        "properties": {column.name: _property(column, shape) for column in file.features},
        "required": [column.name for column in file.features],
        "additionalProperties": not shape.strict,
    }


def _property(column: Column, shape: Shape) -> dict[str, Any]:
    said = dict(_TYPES[column.type])
    if column.name not in shape.required:
        kinds = said["type"] if isinstance(said["type"], list) else [said["type"]]
        said["type"] = [*kinds, "null"]
    described = ", ".join(part for part in (column.unit, column.note) if part)
    return said | ({"description": described} if described else {})


def openapi(file: VersionFile, shape: Shape, token: bool) -> dict[str, Any]:
    """OpenAPI 3.1 of the calls that callers make."""
    row = schema_of(file, shape)
    del row["$schema"]
    answer = {"type": "object", "properties": {"predictions": {"type": "array", "items": _prediction(file)}}}
    errors = {
        status: {
            "description": text,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
        for status, text in (("400", "the rows are not what the model takes"), ("413", "too large"), ("503", "not now"))
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": file.model, "version": file.version},
        "paths": {
            "/invocations": {
                "post": {
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": {
                                        "dataframe_records": {
                                            "type": "array",
                                            "items": {"$ref": "#/components/schemas/Row"},
                                        }
                                    },
                                    "required": ["dataframe_records"],
                                }
                            },
                            "text/csv": {"schema": {"type": "string"}},
                        },
                    },
                    "responses": {
                        "200": {"description": "predictions", "content": {"application/json": {"schema": answer}}},
                        **errors,
                    },
                }
            },
            "/ping": {"get": {"responses": {"200": {"description": "well"}, "503": {"description": "not ready"}}}},
            "/schema": {"get": {"responses": {"200": {"description": "JSON schema of a row"}}}},
            "/metrics": {"get": {"responses": {"200": {"description": "Prometheus text"}}}},
        },
        "components": {
            "schemas": {
                "Row": row,
                "Error": {
                    "type": "object",
                    "properties": {name: {"type": "string"} for name in ("error_code", "message", "error", "field")},
                },
            }
        },
    }
    if token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _prediction(file: VersionFile) -> dict[str, Any]:
    return {"enum": list(file.classes)} if file.classes else {} if not file.task else {"type": "number"}
