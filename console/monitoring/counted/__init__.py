"""Rows become counts in fixed cells, and counts of a stretch of time become a window."""
