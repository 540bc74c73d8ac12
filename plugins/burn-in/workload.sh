#!/usr/bin/env bash
# Compiles burn_in.cu and runs it: with nvcc for GPUs, or with a C++ compiler for the processor alone.
# Its argument is the name of the table that is reported. Ends with 2 where neither can be done.
set -euo pipefail
export LC_ALL=C

# parameter NAME DEFAULT: what was chosen for this run.
parameter() {
    local found=
    if [[ -n ${COCKPIT_PARAMETERS:-} ]]; then
        found=$(sed -nE "s/.*\"$1\": *\"?([-+.a-z0-9]+).*/\1/p" "$COCKPIT_PARAMETERS")
    fi
    echo "${found:-$2}"
}

# message LEVEL TEXT: to the log, and to whoever looks at the job.
message() {
    echo "$2" >&2
    if [[ -n ${COCKPIT_EVENTS:-} ]]; then
        printf '{"type": "message", "time_s": %s, "level": "%s", "text": "%s"}\n' \
            "$EPOCHREALTIME" "$1" "$2" >>"$COCKPIT_EVENTS"
    fi
}

# first WORDS: the first of these programs that is there.
first() {
    local candidate
    for candidate in "$@"; do
        if command -v "$candidate" >/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

device=$(parameter device auto)
program=${COCKPIT_JOB_DIR:-.}/burn_in
nvcc=$(first "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" nvcc)
compiler=$(first "${CXX:-c++}" g++ clang++)

if [[ -n $nvcc && $device != cpu ]]; then
    options=(-O3 -std=c++17 -Xcompiler=-O3,-march=native,-pthread -o "$program" burn_in.cu)
    # For the card that is here; where none is or nvcc is too old to ask, for any, by its default.
    "$nvcc" -arch=native "${options[@]}" 2>/dev/null || "$nvcc" "${options[@]}" || {
        message error "nvcc could not compile burn_in.cu: see the log."
        exit 2
    }
elif [[ $device == cuda ]]; then
    message error "There is no nvcc here: install the CUDA toolkit, or set CUDA_HOME to it."
    exit 2
elif [[ -z $compiler ]]; then
    message error "There is neither nvcc nor a C++ compiler here: install one of them."
    exit 2
else
    if [[ $device == auto ]]; then
        message warning "There is no nvcc here, so the processor is tested and no GPU."
    fi
    "$compiler" -O3 -std=c++17 -march=native -pthread -x c++ -o "$program" burn_in.cu || {
        message error "$compiler could not compile burn_in.cu: see the log."
        exit 2
    }
fi
# In place of this shell, so that a request to stop reaches the program itself.
exec "$program" "$(parameter minutes 1)" "$(parameter mebibytes 0)" "$device" "${1:-cards}"
