#!/usr/bin/env bash
# Compiles kernel.cu and runs it: with nvcc for a GPU, else with a C++ compiler for the processor.
# Ends with 2 where there is neither.
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

# first WORDS: the first of these programs that is there.
first() {
    local candidate
    for candidate in "$@"; do
        if command -v "$candidate"; then return; fi
    done
}

program=${COCKPIT_JOB_DIR:-.}/kernel
nvcc=$(first "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" nvcc)
compiler=$(first "${CXX:-c++}" g++ clang++)
if [[ -n $nvcc ]]; then
    "$nvcc" -O3 -std=c++17 -o "$program" kernel.cu || fail "nvcc could not compile kernel.cu: see the log."
elif [[ -n $compiler ]]; then
    "$compiler" -O3 -std=c++17 -x c++ -o "$program" kernel.cu || fail "kernel.cu could not be compiled: see the log."
else
    fail "There is neither nvcc nor a C++ compiler here: install the CUDA toolkit, or set CUDA_HOME to it."
fi
# In place of this shell, so that a request to stop reaches the program itself.
exec "$program" "$(parameter mebibytes 256)" "$(parameter batches 200)"
