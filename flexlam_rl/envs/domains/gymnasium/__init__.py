"""Gymnasium environments that show pictures or can draw themselves."""
