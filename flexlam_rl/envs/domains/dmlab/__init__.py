"""DeepMind Lab: levels, actions and the environments on both engines."""
