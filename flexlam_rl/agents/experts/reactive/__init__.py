"""Reactive experts for litelab's levels: they decide by the view, their own last actions and the last two seconds.

They know less than the scripted experts, which keep a map of the episode, and more than a learner, which sees only
frames. Where the view leaves a choice, they follow fixed conventions (take the rightmost way, finish a turn), so that a
learner can imitate them.
"""
