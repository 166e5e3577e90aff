"""The scripted expert of ViZDoom, which knows what is in view and nothing behind walls."""
