"""Training: a recipe says what to fit on which data; a run carries it out in a process of its own."""
