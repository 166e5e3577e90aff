"""What every room uses: files, errors, pictures, registries and the command line's helpers."""
