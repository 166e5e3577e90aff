"""Building blocks of models that belong to no method."""
