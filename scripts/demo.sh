#!/usr/bin/env bash
# Run scripts/demo.py through QGIS on a virtual screen. RASTERS, LABELS, FIELD, AREA, OUT come from make.
set -euo pipefail
cd "$(dirname "$0")/.."

arguments=()
if [ -n "${RASTERS:-}" ]; then
  read -r -a rasters <<<"$RASTERS"
  arguments+=(--rasters "${rasters[@]}")
  [ -n "${LABELS:-}" ] || { echo "RASTERS needs LABELS=<polygon file>" >&2; exit 2; }
fi
[ -z "${LABELS:-}" ] || arguments+=(--labels "$LABELS")
[ -z "${FIELD:-}" ] || arguments+=(--field "$FIELD")
[ -z "${AREA:-}" ] || arguments+=(--area "$AREA")
[ -z "${OUT:-}" ] || arguments+=(--out "$OUT")

if [ ! -w "${HOME:-/nonexistent}" ]; then HOME=$(mktemp -d); export HOME; fi
if [ -z "${XDG_RUNTIME_DIR:-}" ]; then XDG_RUNTIME_DIR=$(mktemp -d); chmod 700 "$XDG_RUNTIME_DIR"; export XDG_RUNTIME_DIR; fi
export GEOSEG_ENGINE_DIR="$PWD/.envs/engine" PYTHONUTF8=1
unset QT_QPA_PLATFORM
exec xvfb-run -a -s "-screen 0 1680x1050x24" .envs/plugin/bin/python scripts/demo.py "${arguments[@]}"
