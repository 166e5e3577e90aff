"""Training stages of VideoGPT: `vqvae`, then `videogpt`."""
