"""Parts of models with no method in them."""
