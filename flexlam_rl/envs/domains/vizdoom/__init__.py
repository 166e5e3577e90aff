"""Doom through ViZDoom: the scenarios that come with it, on the free game data of Freedoom."""
