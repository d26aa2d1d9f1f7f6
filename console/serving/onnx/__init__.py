"""Versions as ONNX: made from the trained pipeline, held against it, and answered from without scikit-learn.

`facts` may be imported anywhere and `session` by a model server; the others are for the worker that converts.
"""
