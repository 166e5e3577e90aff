"""Measurements of video: pixel by pixel, on the features of a named network, and step by step into the future.

A distance is named after the network whose features it compares. LPIPS, FID and FVD are distances on particular
networks with particular weights; no distance here has these names.
"""
