"""The same comparison by others, each a script that its own environment runs."""
