"""litelab: an embedded engine with the interface of `deepmind_lab.Lab`, written in numpy and numba."""
