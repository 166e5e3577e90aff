#!/usr/bin/env bash
# Fill a folder with the wheels that a GPU machine without network lacks: usage tools/offline_wheels.sh [FOLDER]
#
# It is meant for Linux x86-64, Python 3.12 and a machine that has torch, numba, tensorstore, pyarrow, einops, scipy, matplotlib,
# torchmetrics, timm, tensorboard, transformers, huggingface_hub, safetensors, rich, pillow and imageio. There:
#   python3 -m pip install --no-index --no-deps --target SITE FOLDER/*.whl && export PYTHONPATH=SITE
set -euo pipefail
folder=${1:-.whl}
packages=(
    gymnasium farama-notifications                                 # environments
    tyro docstring-parser typeguard shtab                          # command lines
    numcodecs google-crc32c                                        # stores
)
mkdir -p "$folder"
platforms=()
for glibc in 2_39 2_38 2_36 2_35 2_34 2_31 2_28 2_27 2_24 2_17; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
platforms+=(--platform manylinux2014_x86_64 --platform manylinux1_x86_64 --platform any)
python=${PYTHON:-python3}
"$python" -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    "${platforms[@]}" --dest "$folder" "${packages[@]}"
du -sh "$folder"
