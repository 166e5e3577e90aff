"""A budget for every transition and every decision.

`objectives` and `choosing` find the fewest slots that a known transition needs (ElasticTok, section 4.2); `head`
predicts that number before the transition has happened, `rules` stops a decision early, `stage` trains the head.
"""
