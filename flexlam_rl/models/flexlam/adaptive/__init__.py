"""A budget for every transition and every decision.

`objectives` and `choosing` find the fewest slots of a transition that is known (ElasticTok, section 4.2); `head` learns
to tell before the transition has happened, `rules` stops a decision early, `stage` trains.
"""
