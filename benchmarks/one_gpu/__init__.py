"""What one GPU gives in ten minutes: latency, throughput, data, a trained policy, its scores. See docs/one-gpu.md."""
