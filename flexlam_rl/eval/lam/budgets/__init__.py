"""What the fewest codes of transitions, k*, say: histograms, what they go with, pictures.

`figures` counts, `stored` looks at rollouts, `watched` at an expert whose world is known, `report` draws.
"""
