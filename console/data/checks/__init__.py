"""Checks of a dataset version: what it must hold to be trained on, written as TOML, run in one streamed pass.

`spec` is what may be checked, `grammar` reads it from TOML, `run` carries it out, `suggest` proposes it from a version.
`standing` says whether a version may be trained on. The rest is one module a family of kinds.
"""
