"""Triggers: what is done by itself, on an alert, on a schedule, on new data, and within which limits.

The room stands on the others: it trains, checks, promotes, rolls back and scales through their own verbs, and adds when
and how far. The agent steps it; nothing here keeps a process.
"""
