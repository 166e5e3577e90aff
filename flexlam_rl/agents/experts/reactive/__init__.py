"""Reactive experts for litelab's levels: they choose by the view, their own last actions and the last two seconds.

They stand between the scripted experts, which know a map of the episode, and a learner, which has frames. Where the
view leaves a choice, fixed conventions (the rightmost way; a turn once begun is finished) keep them imitable.
"""
