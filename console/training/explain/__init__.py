"""What a model looks at: importance, partial dependence, and what moved one prediction.

`figures` alone may be imported anywhere; the others are for workers.
"""
