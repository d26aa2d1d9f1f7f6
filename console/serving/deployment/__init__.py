"""Deployments: what is to be served, changed by people, held to by the agent, and judged while it serves."""
