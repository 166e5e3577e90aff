"""`flexlam study budgets`: return against mean tokens.

`ranking` compares rules on recorded video, `study` plays the best one beside fixed and random budgets, and `report`
writes the tables.
"""
