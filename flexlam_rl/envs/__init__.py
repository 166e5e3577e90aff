"""Gymnasium environments over litelab (embedded) and the real DeepMind Lab."""
