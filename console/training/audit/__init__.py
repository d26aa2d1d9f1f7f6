"""The audit of a training: whether what it made can be trusted. Each test has a name, a figure and a threshold.

`rules` is what a recipe may ask for; `audit` carries it out in the worker and leaves `audit.json` on the run, which
gates, screen and command line read by `read`.
"""
