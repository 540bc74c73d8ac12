#!/usr/bin/env bash
# Compiles kernel.cu with nvcc and runs it; ends with 2 where there is no nvcc.
set -euo pipefail

# parameter NAME DEFAULT: the number that was chosen for this run.
parameter() {
    local found=
    if [[ -n ${COCKPIT_PARAMETERS:-} ]]; then
        found=$(sed -nE "s/.*\"$1\": *([0-9]+).*/\1/p" "$COCKPIT_PARAMETERS")
    fi
    echo "${found:-$2}"
}

fail() {
    echo "$1" >&2
    if [[ -n ${COCKPIT_EVENTS:-} ]]; then
        printf '{"type": "message", "time_s": %s, "level": "error", "text": "%s"}\n' \
            "$(date +%s)" "$1" >>"$COCKPIT_EVENTS"
    fi
    exit 2
}

nvcc=
for candidate in "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" nvcc; do
    if command -v "$candidate" >/dev/null; then
        nvcc=$candidate
        break
    fi
done
[[ -n $nvcc ]] || fail "There is no nvcc here: install the CUDA toolkit, or set CUDA_HOME to it."

program=${COCKPIT_JOB_DIR:-.}/kernel
"$nvcc" -O3 -std=c++17 -o "$program" kernel.cu || fail "nvcc could not compile kernel.cu: see the log."
# In place of this shell, so that a request to stop reaches the program itself.
exec "$program" "$(parameter mebibytes 256)" "$(parameter batches 200)"
