"""Measurements of k*, the smallest number of codes that transitions need: histograms, correlations and pictures.

`figures` computes, `stored` reads rollouts, `watched` plays an expert in a world whose state is known, `report` draws.
"""
