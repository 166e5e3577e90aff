"""The commands of `flexlam`: one module per command, with `Options` and `run(options)`."""
