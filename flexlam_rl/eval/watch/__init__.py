"""A policy that somebody watches while it plays: the game, what is seen of it, and the page in a browser."""
