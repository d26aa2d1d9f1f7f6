"""The protocol's server side: any backend, offered to unmodified MLflow clients.

Everything here speaks to `backends.contract` alone. Importing this package loads nothing heavy; `app` and `serve` load
Starlette and uvicorn.
"""
