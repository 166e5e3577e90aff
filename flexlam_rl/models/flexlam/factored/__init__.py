"""The factored prior: a transformer over time that takes a whole block as one token, and a small head for its codes.

`config` has the sizes, `model` trains, `decode` plays.
"""
