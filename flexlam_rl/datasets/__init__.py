"""Rollouts on disk: writer, reader, samplers, label subsets, importers and exporters."""

if not __name__.startswith("flexlam_rl."):  # run through a link at the root of a checkout
    from flexlam_rl.checkout import leave_root

    leave_root()
