"""The factored prior: a transformer over time with one token per past block, and a small head that predicts codes.

`config` holds the sizes, `model` is for training, `decode` for decisions.
"""
