"""Training stages of LaMo."""
