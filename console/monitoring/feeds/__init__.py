"""Rows and labels come in, from wherever they come, and each counts once."""
