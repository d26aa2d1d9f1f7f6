"""What the actions do. Each module is imported when one of its actions is first used."""
