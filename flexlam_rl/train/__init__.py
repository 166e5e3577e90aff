"""Training: one loop with exact resume, its state, optimizers and sources of batches, and the registry of stages. It
knows no model.
"""

from flexlam_rl.train import stage_modules

if not __name__.startswith("flexlam_rl."):  # it was imported through a link at the root of a checkout
    from flexlam_rl.utils.checkout import leave_root

    leave_root()

stage_modules.install()
