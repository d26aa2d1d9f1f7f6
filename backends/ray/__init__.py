"""Ray as an engine: its Jobs REST API over plain HTTP, without the `ray` package."""
