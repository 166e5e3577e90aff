"""Training: one loop with exact resume, its state, optimisers and sources of batches, and the stages by name. Knows no
model.
"""

from flexlam_rl.train import stage_modules

if not __name__.startswith("flexlam_rl."):  # run through a link at the root of a checkout
    from flexlam_rl.utils.checkout import leave_root

    leave_root()

stage_modules.install()
