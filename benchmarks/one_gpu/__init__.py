"""Measurements on one GPU in ten minutes: latency, throughput, data, a trained policy and its scores. See
docs/one-gpu.md.
"""
