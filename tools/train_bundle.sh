#!/bin/sh
# Train a policy as the one that comes with the package was trained, from nothing: tools/train_bundle.sh DIR
# About five hours on two cores. Each part prints its progress; the same command continues an interrupted one.
# Further words go to every training, as in: tools/train_bundle.sh DIR --device cuda
# docs/results.md says how the policy of the package plays, and where its training differed.
set -eu
[ $# -gt 0 ] || { echo "Name a folder: tools/train_bundle.sh DIR [OPTIONS OF flexlam train]" >&2; exit 2; }
PATH="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin:$PATH"
DIR=$1
shift

echo "1 of 8: video of the pixel expert"
flexlam collect --tasks suite --expert pixel --temperature 0.5 --steps 100000 --perturb 0.1 --out "$DIR/video"
flexlam collect --tasks suite --expert pixel --temperature 0.5 --steps 4000 --split test --out "$DIR/video"
echo "2 of 8: latent action model"
flexlam train lam --preset tiny --prefix-distribution mixed --data "$DIR/video" --steps 12000 --out "$DIR/run" "$@"
echo "3 of 8: prior, from fresh weights"
flexlam train sequence --preset tiny --prior factored --drop-blocks 0.3 --data "$DIR/video" --lam-run "$DIR/run" --steps 12000 --out "$DIR/first" "$@"
echo "4 of 8: prior, from the last weights"
flexlam train sequence --preset tiny --prior factored --drop-blocks 0.3 --data "$DIR/video" --lam-run "$DIR/run" --steps 20000 --init "$DIR/first" --out "$DIR/second" "$@"
echo "5 of 8: prior, from the last weights"
flexlam train sequence --preset tiny --prior factored --drop-blocks 0.3 --data "$DIR/video" --lam-run "$DIR/run" --steps 21000 --init "$DIR/second" --out "$DIR/third" "$@"
echo "6 of 8: prior, at lower rates and with whole windows"
flexlam train sequence --preset tiny --prior factored --drop-blocks 0.3 --data "$DIR/video" --init "$DIR/third" --lr-scale 0.3 --long-share 1 --steps 14000 --out "$DIR/run" "$@"
echo "7 of 8: translator, on 4,000 labels"
flexlam train translator --preset tiny --data "$DIR/video" --labels diverse --label-count 4000 --conditioning slots --prefix-distribution mixed --out "$DIR/run" "$@"
echo "8 of 8: one folder for all"
flexlam bundle "$DIR/run" -o "$DIR/policy" --data "$DIR/video" --half --temperature 0.5 --action-temperature 0.5
echo "$DIR/policy: flexlam suite --checkpoint $DIR/policy --budget 16"
