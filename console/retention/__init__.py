"""What is kept, for how long, and what goes: the rule, the plan that shows it, and carrying it out."""
