"""Bias: how groups of people, or of anything else, are represented, labelled and predicted, with what certainty.

`groups` counts, streaming; `intervals` and `measures` judge the counts; `report` puts it into words and keeps it.
"""
