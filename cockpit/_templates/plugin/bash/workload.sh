#!/usr/bin/env bash
# Hashes zeros, round by round: a workload to start from. An event is a line of JSON appended to
# the file $COCKPIT_EVENTS; outside cockpit the same lines are printed.
set -euo pipefail
# EPOCHREALTIME has a decimal comma in some languages, and JSON has none.
export LC_ALL=C

# parameter NAME DEFAULT: the number that was chosen for this run.
parameter() {
    local found=
    if [[ -n ${COCKPIT_PARAMETERS:-} ]]; then
        found=$(sed -nE "s/.*\"$1\": *([-+.eE0-9]+).*/\1/p" "$COCKPIT_PARAMETERS")
    fi
    echo "${found:-$2}"
}

# tell FIELDS: one event, with its time.
tell() {
    printf '{"time_s": %s, %s}\n' "$EPOCHREALTIME" "$1" >>"${COCKPIT_EVENTS:-/dev/stdout}"
}

stopping=
trap 'stopping=yes' TERM INT

rounds=$(parameter rounds 100)
mebibytes=$(parameter mebibytes 4)
for ((round = 1; round <= rounds; round++)); do
    [[ -z $stopping ]] || break
    began=${EPOCHREALTIME/./}
    head -c "${mebibytes}M" /dev/zero | sha256sum >/dev/null
    microseconds=$((${EPOCHREALTIME/./} - began))
    speed=$((mebibytes * 1000000 / (microseconds > 0 ? microseconds : 1)))
    tell "\"type\": \"metrics\", \"step\": $round, \"values\": {\"mib_per_s\": $speed}"
    tell "\"type\": \"progress\", \"done\": $round, \"total\": $rounds, \"unit\": \"rounds\""
done
echo "Hashed $((round - 1)) of $rounds times $mebibytes MiB."
