"""The scripted expert of ViZDoom: it knows what is in view, and nothing of what is behind walls."""
