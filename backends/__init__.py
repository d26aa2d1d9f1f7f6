"""Where things are kept and run: the nouns, the verbs, and the adapters. Knows nothing of the console."""
