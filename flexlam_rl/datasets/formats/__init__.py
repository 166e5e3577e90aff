"""Formats that rollouts are imported from and exported to, one file each."""
