"""How good the answers were, how good they must be expected to be, and how evenly that holds."""
