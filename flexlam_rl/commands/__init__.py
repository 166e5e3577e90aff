"""The commands of `flexlam`, one module each with `Options` and `run(options)`."""
