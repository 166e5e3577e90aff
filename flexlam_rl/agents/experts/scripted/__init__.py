"""Scripted experts for litelab's levels, compiled like the engine so that they cost little beside it.

They decide by what they have seen in the episode: a map of seen cells, seen goals and objects, categories whose reward
they got, and the platform once found. They read what is in view from the engine instead of from pixels.
"""
