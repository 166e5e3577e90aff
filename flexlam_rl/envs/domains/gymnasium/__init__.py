"""Any Gymnasium environment that shows pictures, or can draw itself."""
