"""Experts that act on pixels: recurrent policies trained by reward."""
