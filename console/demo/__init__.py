"""A living workspace on real data: every flight that left New York in 2013, one day a second.

Everything in it is made by the functions that serve a person's own data. Three parts, each an ordinary program:
`prepare` trains and promotes, `feeder` lets the days arrive, and the agent of the workspace does the rest.
"""
