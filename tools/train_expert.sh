#!/bin/sh
# Train the pixel expert that comes with the package, from nothing: tools/train_expert.sh DIR
# About five hours on two cores. Each part prints its progress; the same command continues an interrupted one.
# Further words go to every training, as in: tools/train_expert.sh DIR --device cuda
# docs/experts.md says what each part is for.
set -eu
[ $# -gt 0 ] || { echo "Name a folder: tools/train_expert.sh DIR [OPTIONS OF flexlam expert train]" >&2; exit 2; }
PATH="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin:$PATH"
DIR=$1
shift

echo "1 of 7: all tasks, with a teacher that a beginner can follow"
flexlam expert train --tasks suite --teacher reactive --teacher-memory 0 --half-life 300000 --half --steps 11100000 --out "$DIR/first" "$@"
echo "2 of 7: all tasks, with a teacher that remembers 30 steps"
flexlam expert train --tasks suite --teacher reactive --start "$DIR/first/best" --clone-steps 300000 --half-life 300000 --half --steps 3000000 --out "$DIR/second" "$@"
echo "3 of 7: all tasks, at a lower rate"
flexlam expert train --tasks suite --teacher reactive --start "$DIR/second/best" --clone-steps 0 --half-life 150000 --learning-rate 0.0001 --precision bf16 --half --steps 1500000 --evaluate-every 500000 --evaluation-episodes 8 --out "$DIR/third" "$@"
echo "4 of 7: visual search, from nothing, with fine convolutions"
flexlam expert train --tasks psychlab_visual_search --vision fine --teacher reactive --teacher-memory 0 --clone-steps 50000 --half-life 1000000 --steps 640000 --evaluate-every 50000 --out "$DIR/search-1" "$@"
echo "5 of 7: visual search, with the teacher's choice as a target throughout"
flexlam expert train --tasks psychlab_visual_search --vision fine --precision bf16 --teacher reactive --teacher-memory 0 --start "$DIR/search-1/last" --clone-steps 0 --half-life 10000000 --learning-rate 0.001 --half --steps 1950000 --evaluate-every 100000 --out "$DIR/search-2" "$@"
echo "6 of 7: visual search, at a lower rate"
flexlam expert train --tasks psychlab_visual_search --vision fine --precision bf16 --teacher reactive --teacher-memory 0 --start "$DIR/search-2/last" --clone-steps 0 --half-life 10000000 --learning-rate 0.0002 --half --steps 400000 --evaluate-every 100000 --evaluation-episodes 20 --out "$DIR/search-3" "$@"
echo "7 of 7: one folder for both"
[ -e "$DIR/expert" ] || flexlam expert join "$DIR/third/best" --specialists "$DIR/search-3/best" --out "$DIR/expert"
echo "$DIR/expert: flexlam suite --policy pixel:$DIR/expert --action-temperature 0.5"
