"""How a monitor stays small: older windows are merged into hours and days, and what nobody asks for any more goes."""
