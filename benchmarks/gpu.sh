#!/bin/sh
# What docs/results leaves open about GPUs, in one command:
#
#     make gpu                      # or: benchmarks/gpu.sh FOLDER
#
# The tests that need a GPU run; kitchens of 64 and 128 px are rendered, a generator of each and an editor trained on 2.5%
# of their labels, and measured, with a picture and a page each; the step is timed at 32 to 256 px. The same command again
# goes on where it stopped.
# To try it: DEVICE=cpu RESOLUTIONS=16 COUNT=500 KIMG64=1 KIMG128=1 KIMG_EDITOR=1 benchmarks/gpu.sh FOLDER
set -eu
OUT=${1:?the folder for the results}
DEVICE=${DEVICE:-cuda} RESOLUTIONS=${RESOLUTIONS:-32,64,128,256} COUNT=${COUNT:-10000}
KIMG64=${KIMG64:-340} KIMG128=${KIMG128:-240} KIMG_EDITOR=${KIMG_EDITOR:-260}
HERE=$(dirname "$0")
PYTHON=${PYTHON:-$HERE/../.venv/bin/python}

if [ "$DEVICE" = cuda ]; then # before anything slow
  "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || {
    echo "gpu.sh: torch sees no GPU; DEVICE=cpu tries the commands without one" >&2
    exit 2
  }
  "$PYTHON" -m pytest "$HERE/../tests/test_gpu.py" -n 0 -W default
fi

ssg() { "$PYTHON" -m semistylegan "$@"; }

measured() { # NAME PIXELS METRICS OPTIONS...
  run=$OUT/$1 data=$OUT/kitchen$2.zip metrics=$3
  shift 3
  ssg train --data "$data" --out "$run" --label-fraction 0.025 --size small --batch 16 --labelled-batch 16 \
    --r1-gamma 3 --device "$DEVICE" "$@"
  ssg eval "$run" --metrics "$metrics" --device "$DEVICE"
  ssg traverse "$run" --out "$run/factors.png"
  ssg report "$run"
}

generator() { # PIXELS KIMG
  measured "generator$1" "$1" default --gamma-g 15 --ce-weight 0.15 --kimg "$2"
}

step() { # LIMIT_S OPTIONS...
  limit=$1
  shift
  timeout "$limit" "$PYTHON" "$HERE/train_step.py" --device "$DEVICE" --size small --width 0 --batch 16 \
    --resolutions "$RESOLUTIONS" "$@"
}

mkdir -p "$OUT"
for pixels in 64 128; do
  ssg render kitchen --out "$OUT/kitchen$pixels.zip" --resolution "$pixels" --count "$COUNT"
done
generator 64 "$KIMG64"
generator 128 "$KIMG128"
measured editor64 64 edit,l2 --preset fine --hold-out 0.05 --kimg "$KIMG_EDITOR"
if [ ! -e "$OUT/step.json" ]; then
  step 7200 --methods ours,eager,bfloat16,plain,public --json "$OUT/step.part.json" --plot "$OUT/step.png"
  mv "$OUT/step.part.json" "$OUT/step.json"
fi
# Last and for half an hour at most, since no one knows how long it compiles; each resolution is written by itself.
[ -e "$OUT/compiled.json" ] || step 1800 --methods ours,compiled --json "$OUT/compiled.json" ||
  echo "gpu.sh: torch.compile ended with status $? before all was timed" >&2
