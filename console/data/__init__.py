"""Data: files become immutable, content-addressed dataset versions; versions are read by page, profiled and
exported."""
