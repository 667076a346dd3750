#!/usr/bin/env bash
# What only a GPU can show, the most valuable first, in under 10 minutes:
#
#     Testing/Gpu/run.sh OUT [DEVICE]
#
# OUT keeps what is done: given again, the script goes on with the rest, and trainings with their checkpoints.
# DATA (a folder of stills) and CLIPS (simulated clips) are needed for the trainings; without DATA they are left out.
# STEPS and BATCH are theirs. To try the script on a CPU:
#
#     FRAMES=4 STEPS=1 BATCH=1 Testing/Gpu/run.sh OUT cpu
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?name a folder for the results}
device=${2:-cuda}
UNFINISHED=75
mkdir -p "$out"
export PYTHONPATH="$PWD/UltrasoundLesionSeg${PYTHONPATH:+:$PYTHONPATH}"

# once NAME COMMAND...: run a command unless it was done before
once() {
  local name=$1
  shift
  if [ -e "$out/$name.done" ]; then
    echo "$name: done before"
    return
  fi
  echo "$name: begun at ${SECONDS} s"
  local code=0
  "$@" 2>&1 | tee "$out/$name.log" || code=$?
  case $code in
    0) touch "$out/$name.done" ;;
    "$UNFINISHED") echo "$name: its time is over; the next call goes on" ;;
    *) return "$code" ;;
  esac
}

# train MODEL SECONDS: go on with a training for so long; its checkpoint stays in OUT
train() {
  local model=$1 seconds=$2 code=0
  timeout --signal=INT "$seconds" python -m UltrasoundLesionSegLib.cli.start train \
    --config "Resources/Models/$model/configs/train_outlines.json" --start "Resources/Models/$model" \
    --data "$DATA" ${CLIPS:+--clips "$CLIPS"} --output "$out/$model" \
    --workers "${WORKERS:-12}" --precision "${PRECISION:-bf16}" \
    --set "stages.0.steps=${STEPS:-4000}" --set "stages.0.batch=${BATCH:-16}" || code=$?
  case $code in
    0) ;;
    124 | 130) return "$UNFINISHED" ;;
    *) return "$code" ;;
  esac
}

once propagation python Testing/Gpu/propagation.py --device "$device" --frames "${FRAMES:-60}" --output "$out/propagation.json"
if [ "$device" != cpu ]; then
  once speed python Testing/Benchmarks/speed/gpu.py --quick
fi
if [ -n "${DATA:-}" ]; then
  for model in stpfnet_light bas_s_propagate; do
    once "train_$model" train "$model" "${SECONDS_EACH:-150}"
  done
fi
echo "done in ${SECONDS} s"
