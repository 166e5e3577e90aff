"""Measurements of latent action models on held-out transitions."""
