"""Transforms: a recipe of steps makes new dataset versions out of one.

What a step learns (means, categories, edges) it learns from the training part alone; it is kept with the recipe as a
definition, and applied as it is to test parts, to later data and to single records.
"""
