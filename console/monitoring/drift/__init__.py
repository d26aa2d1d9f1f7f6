"""How unlike two sets of rows or counts are, column by column and all columns together."""
