"""Evaluation: the suite, measurements of latent action models, and studies."""

if not __name__.startswith("flexlam_rl."):  # run through a link at the root of a checkout
    from flexlam_rl.utils.checkout import leave_root

    leave_root()
