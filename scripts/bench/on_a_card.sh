#!/usr/bin/env bash
# Everything that needs a graphics card, in about ten minutes, after `make setup` with a GPU build of the engine:
#   scripts/bench/on_a_card.sh [--small] [--engine PYTHON] [--data FOLDER] [--out FOLDER]
# The proof of the device, training beside the plain recipe and the limit, prediction beside the limit and the pipeline,
# and the maps of the device beside those of the CPU on real rasters if they are there. Prints the tables and ends; sets
# nothing up. Without a card it says so and ends with 1; --small tries the script out on the CPU, its figures mean
# nothing.
set -u
here="$(cd "$(dirname "$0")/../.." && pwd)"
python="$here/.envs/engine/bin/python" data="" out="" small=()
while [ $# -gt 0 ]; do
  case "$1" in
    --small) small=(--small) ;;
    --engine) python="$2"; shift ;;
    --data) data="$2"; shift ;;
    --out) out="$2"; shift ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
  shift
done
[ -x "$python" ] || { echo "No engine at $python: run make setup, or name its Python with --engine."; exit 2; }
made=""
[ -n "$out" ] || { out="$(mktemp -d)"; made="$out"; }
mkdir -p "$out"
export GEOSEG_BENCH_SIDE="${GEOSEG_BENCH_SIDE:-8192}" PYTHONPATH="$here/training"

device="$("$python" - <<'PY'
from geoseg_engine.device.devices import gpus
print(gpus()[0] if gpus() else "cpu")
PY
)" || exit 2
if [ "$device" = cpu ] && [ ${#small[@]} -eq 0 ]; then
  echo "PyTorch finds no card here. Set the engine up for it (docs/install.md), or try the script out with --small."
  exit 1
fi

failed=0
part() { # title, command: runs it, and goes on whatever it says
  printf '\n## %s\n\n' "$1"
  shift
  "$@" || failed=1
}

printf '# On a card: %s, %s\n' "$device" "$(date +%F)"
part "Proof" "$python" - "$device" <<'PY'
import sys
from geoseg_engine.device.devices import as_device
from geoseg_engine.device.proof import prove
device = as_device(sys.argv[1])
print(f"{device.name}, {device.memory().total >> 20} MiB")
print(*(f"- {key}: {value}" for key, value in prove(device).as_dict().items()), sep="\n")
PY
repeat=(--repeat 2)
[ ${#small[@]} -eq 0 ] || repeat=(--repeat 1)
part "Training: tiles a second (at least twice the plain recipe, 0.9 of the limit)" \
  "$python" "$here/scripts/bench/train.py" gpu_plain gpu_limit "${repeat[@]}" "${small[@]}" --json "$out/train.json"
part "Prediction: network input (at least 0.8 of the limit, or of decoding)" \
  "$python" "$here/scripts/bench/predict.py" gpu_limit "${repeat[@]}" "${small[@]}" --json "$out/predict.json"
part "Prediction: all but the network" \
  "$python" "$here/scripts/bench/predict.py" pipeline --repeat 1 "${small[@]}" --json "$out/pipeline.json"
compare=(--device "$device" "${small[@]}")
[ -z "$data" ] || compare+=(--data "$data")
part "The maps of the device beside those of the CPU (at most 0.01 % of the pixels differ)" \
  "$python" "$here/scripts/studies/device_path.py" "${compare[@]}"

[ ${#small[@]} -eq 0 ] && printf '\nFigures as JSON: %s\n' "$out"
[ ${#small[@]} -eq 0 ] || { [ -z "$made" ] || rm -rf "$made"; }
exit $failed
