#!/usr/bin/env bash
# Runs a command once for each value and keeps the figure that it prints. How any script tells what
# it does: an event is a line of JSON appended to the file $COCKPIT_EVENTS; by hand it is printed.
set -uo pipefail
# EPOCHREALTIME and printf have a decimal comma in some languages, and JSON has none.
unset LC_ALL LC_NUMERIC
export LC_NUMERIC=C

# parameter NAME DEFAULT: the text or number that was chosen for this run.
parameter() {
    local found=
    if [[ -n ${COCKPIT_PARAMETERS:-} ]]; then
        local text='"((\\.|[^"\\])*)"' number='[-+.eE0-9]+'
        found=$(sed -nE "s/.*\"$1\": *($text|($number)).*/\2\4/p" "$COCKPIT_PARAMETERS")
        # The escapes of JSON are those of printf, but for the one of a quote.
        printf -v found '%b' "${found//'\"'/'\x22'}"
    fi
    echo "${found:-$2}"
}

# quoted TEXT: as JSON has it; what is no text, or would steer a terminal, is left out.
quoted() {
    local text
    text=$(iconv -c -f UTF-8 -t UTF-8 <<<"$1")
    text=${text//\\/\\\\}
    text=${text//\"/\\\"}
    text=${text//$'\n'/\\n}
    text=${text//$'\t'/\\t}
    printf '"%s"' "${text//[[:cntrl:]]/}"
}

# tell FIELDS: one event, with its time.
tell() {
    printf '{"time_s": %s, %s}\n' "$EPOCHREALTIME" "$1" >>"${COCKPIT_EVENTS:-/dev/stdout}"
}

fail() {
    echo "$1" >&2
    tell "\"type\": \"message\", \"level\": \"error\", \"text\": $(quoted "$1")"
    exit 2
}

# numbers WORDS: each value on a line; 1:10:2 is counted out.
numbers() {
    local word
    for word in $1; do
        if [[ $word =~ ^([-+.0-9]+):([-+.0-9]+):([-+.0-9]+)$ ]]; then
            seq "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]}" "${BASH_REMATCH[2]}"
        else
            echo "$word"
        fi
    done
}

# figure_of FILE: the last number that the pattern finds in it, or nothing.
figure_of() {
    local line figure=
    while IFS= read -r line || [[ -n $line ]]; do
        [[ $line =~ $pattern ]] && figure=${BASH_REMATCH[1]}
    done <"$1"
    [[ $figure =~ ^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$ ]] && awk "BEGIN { print $figure + 0 }"
}

# better A B: whether A is the better figure of the two.
better() {
    awk -v a="$1" -v b="$2" -v best="$best" 'BEGIN { exit !(best == "least" ? a < b : a > b) }'
}

stopping=
running=
trap 'stopping=yes; [[ -z $running ]] || kill -TERM "$running" 2>/dev/null' TERM INT

command=$(parameter command 'head -c {}K /dev/zero | gzip -c | wc -c')
pattern=$(parameter pattern '([-+0-9.eE]+)$')
best=$(parameter best least)
patience=$(parameter patience 3600)
folder=$(parameter folder .)
mapfile -t values < <(numbers "$(parameter values '16 64 256 1024 4096')")
output=${COCKPIT_JOB_DIR:-$(mktemp -d)}/run.txt

[[ $command == *'{}'* ]] || fail "The command has no {} for the value: $command"
((${#values[@]})) || fail "There are no values."
[[ '' =~ $pattern ]]
(($? != 2)) || fail "The pattern is no extended regular expression: $pattern"
cd "$folder" || fail "There is no folder $folder."

rows= best_value= best_figure= failed=0 done=0
for value in "${values[@]}"; do
    [[ -z $stopping ]] || break
    printf '\n%s\n' "$ ${command//\{\}/$value}"
    began=${EPOCHREALTIME/./}
    # In the background, so that a request to stop is heard while it runs.
    timeout "$patience" bash -c "${command//\{\}/$value}" >"$output" 2>&1 &
    running=$!
    wait "$running"
    code=$?
    running=
    milliseconds=$(((${EPOCHREALTIME/./} - began) / 1000))
    cat "$output"
    [[ -z $stopping ]] || break
    figure=
    if ((code)); then
        failed=$((failed + 1))
    else
        figure=$(figure_of "$output")
    fi
    done=$((done + 1))
    if [[ -n $figure ]]; then
        tell "\"type\": \"metrics\", \"step\": $done, \"values\": {\"figure\": $figure}"
        if [[ -z $best_figure ]] || better "$figure" "$best_figure"; then
            best_value=$value best_figure=$figure
        fi
    fi
    printf -v seconds '%d.%03d' $((milliseconds / 1000)) $((milliseconds % 1000))
    rows+="${rows:+, }[$(quoted "$value"), ${figure:-null}, $seconds, $code]"
    columns='["value", "figure", "seconds", "exit code"]'
    tell "\"type\": \"table\", \"name\": \"runs\", \"columns\": $columns, \"rows\": [$rows]"
    shown=$(tail -c 4000 "$output" | tr -d '\000')
    tell "\"type\": \"text\", \"name\": \"output\", \"text\": $(quoted "$shown")"
    tell "\"type\": \"progress\", \"done\": $done, \"total\": ${#values[@]}, \"unit\": \"runs\""
done

said="$done of ${#values[@]} runs"
((failed)) && said+=", $failed of them failed"
[[ -n $best_value ]] && said+="; the $best figure is $best_figure, of the value $best_value"
echo
echo "$said."
tell "\"type\": \"message\", \"level\": \"info\", \"text\": $(quoted "$said.")"
((failed == 0))
