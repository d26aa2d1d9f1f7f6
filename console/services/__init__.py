"""Services that a metrics store measures: what the configuration says of them, what is read, what is kept of it."""
