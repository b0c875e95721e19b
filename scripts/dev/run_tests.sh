#!/usr/bin/env bash
# Run test suites, each in its interpreter, all of them even if one fails, and repeat their closing lines
# at the end. Arguments are suites (folders of tests/); none runs all.
set -uo pipefail
cd "$(dirname "$0")/../.."

export QT_QPA_PLATFORM=offscreen PYTHONUTF8=1 QT_LOGGING_RULES="*.debug=false"
if [ ! -w "${HOME:-/nonexistent}" ]; then HOME=$(mktemp -d); export HOME; fi
if [ -z "${XDG_RUNTIME_DIR:-}" ]; then XDG_RUNTIME_DIR=$(mktemp -d); chmod 700 "$XDG_RUNTIME_DIR"; export XDG_RUNTIME_DIR; fi
# The tests must not see the settings of the user's own QGIS.
QGIS_CUSTOM_CONFIG_PATH=$(mktemp -d); export QGIS_CUSTOM_CONFIG_PATH
export GEOSEG_ENGINE_DIR="$PWD/.envs/engine"
# The networks of the tests are too small to share out: threads would only wait for one another.
export OMP_NUM_THREADS=1
trap 'rm -rf "$QGIS_CUSTOM_CONFIG_PATH"' EXIT

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(architecture engine plugin e2e real)
mkdir -p build/tests
closing=()
failed=0
for suite in "${suites[@]}"; do
  [ -d "tests/$suite" ] || continue
  python=.envs/plugin/bin/python
  parallel=()
  case $suite in
    engine | real) python=.envs/engine/bin/python parallel=(-n auto --dist loadfile) ;;
  esac
  log=build/tests/$suite.log
  echo "== tests/$suite ($python)"
  "$python" -m pytest "tests/$suite" "${parallel[@]}" -rfEs 2>&1 | tee "$log"
  code=${PIPESTATUS[0]}
  line=$(grep -E '(passed|failed|error|skipped|no tests ran|deselected).* in [0-9.]+' "$log" | tail -n 1)
  closing+=("tests/$suite: ${line:-no closing line} (exit code $code)")
  [ "$code" = 0 ] || [ "$code" = 5 ] || failed=1
done

echo
printf '%s\n' "${closing[@]}"
exit "$failed"
