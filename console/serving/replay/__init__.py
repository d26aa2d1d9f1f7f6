"""Logged requests asked again of another version: what would change for those who call.

`figures` and `requests` may be imported anywhere; the others load models: they are for the process of
`console.serving.replayer`.
"""
