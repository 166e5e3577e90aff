"""Stage joint from the command line: `python -m train.joint`. It shares its labels and its code with the translator's
stage.
"""

from flexlam_rl.models.flexlam.pipeline import main

if __name__ == "__main__":
    main("joint")
