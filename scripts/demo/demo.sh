#!/usr/bin/env bash
# Run scripts/demo/demo.py. RASTERS, LABELS, FIELD, AREA, OUT, UNLABELLED and MINUTES come from make.
set -euo pipefail
cd "$(dirname "$0")/../.."

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
[ -z "${UNLABELLED:-}" ] || arguments+=(--unlabelled "$UNLABELLED")
[ -z "${MINUTES:-}" ] || arguments+=(--max-minutes "$MINUTES")

if [ ! -w "${HOME:-/nonexistent}" ]; then HOME=$(mktemp -d); export HOME; fi
if [ -z "${XDG_RUNTIME_DIR:-}" ]; then XDG_RUNTIME_DIR=$(mktemp -d); chmod 700 "$XDG_RUNTIME_DIR"; export XDG_RUNTIME_DIR; fi
unset QT_QPA_PLATFORM
exec .envs/plugin/bin/python scripts/demo/demo.py "${arguments[@]}"
