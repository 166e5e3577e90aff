"""Behaviour cloning from the command line: `python -m train.bc`. It shares its labels and its code with the
translator's stage.
"""

from flexlam_rl.models.flexlam.pipeline import main

if __name__ == "__main__":
    main("bc")
