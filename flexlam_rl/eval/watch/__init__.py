"""Watching a policy while it plays: the game, its view, and the page in a browser."""
