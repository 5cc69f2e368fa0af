#!/bin/sh
# From a fresh clone to a fine-tuned model: installs what is missing, builds, makes sample pictures, fine-tunes the bundled
# model on them, evaluates, predicts over a folder, exports.  Everything lands in quickstart/.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh
start=$(date +%s)
out=quickstart
step() { printf '\n== %s\n' "$1"; }
show() { printf '   $ %s\n' "$*"; "$@"; }

step "1/7 packages and build"
need_packages $build_packages
cmake -S . -B build -G Ninja -DDIOPTER_TESTS=OFF >/dev/null
# A terminal shows the progress of the build, a log one line of it.
if [ -t 1 ]; then cmake --build build -j "$(nproc)"; else cmake --build build -j "$(nproc)" | tail -n 1; fi
PATH=$PWD/build:$PATH

if [ -e "$out" ]; then
    before=$out.$(date +%Y%m%d-%H%M%S)
    mv "$out" "$before"
    echo "the folder $out of an earlier start is now $before"
fi
mkdir -p "$out"

step "2/7 sample pictures: six kinds of land seen from above"
show build/make_tiles "$out/tiles" 60

step "3/7 what the bundled model is"
show diopter info samples/tiles_base.safetensors

step "4/7 fine-tune it on the pictures (the backbone stays frozen, a new head learns)"
show diopter train samples/tiles_base.safetensors "$out/tiles" -o "$out/run"

step "5/7 how good it is on pictures it has not seen"
show diopter eval "$out/run" "$out/tiles" --plot "$out/confusion.svg"

step "6/7 label a folder"
show diopter predict "$out/run" "$out/tiles/test" -o "$out/predictions.csv"
head -n 4 "$out/predictions.csv"

step "7/7 export for PyTorch"
show diopter export "$out/run" -o "$out/model.pth"

cat <<END

Done in $(($(date +%s) - start)) seconds.
  $out/run/report.html     curves, confusion matrix, mistakes: open it in a browser
  $out/run/                the run: model.safetensors, recipe.yaml, metrics.jsonl, log.txt
  $out/confusion.svg       confusion matrix on the test pictures
  $out/predictions.csv     a line for each picture
  $out/model.pth           for torch.load

Next, on your own pictures (a folder with one folder for each class), with a real ImageNet model:
  scripts/get_model.sh efficientnet-lite0
  build/diopter train models/efficientnet-lite0.pth YOUR_PICTURES -o run1
END
if [ -f models/efficientnet-lite0.pth ] || { [ "${DIOPTER_OFFLINE:-}" != 1 ] && scripts/get_model.sh efficientnet-lite0 2>/dev/null; }; then
    step "the same with EfficientNet-Lite0, since a network is there"
    show diopter train models/efficientnet-lite0.pth "$out/tiles" -o "$out/run-lite0"
    show diopter eval "$out/run-lite0" "$out/tiles"
fi
