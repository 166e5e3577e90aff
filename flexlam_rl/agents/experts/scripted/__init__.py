"""Scripted experts for litelab's levels, compiled like the engine so that they cost little beside it.

They play from what has been seen in the episode: a map of seen cells, seen goals and objects, categories whose reward
was felt, the found platform. What stands in view is read from the engine instead of from pixels.
"""
