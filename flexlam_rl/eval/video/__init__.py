"""Measures of video: pixel by pixel, on the features of a named network, and step by step into the future.

A distance carries the name of the network whose features it compares. LPIPS, FID and FVD are distances on particular
networks with particular weights; nothing here is called so.
"""
