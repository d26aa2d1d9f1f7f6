"""What triggers do: each deed a list of steps, each step safe to repeat under the firing's own keys."""
