"""Models of FlexLAM and its baselines, in pure torch. They know nothing of environments or datasets."""
