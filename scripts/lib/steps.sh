# shellcheck shell=bash
# Runs steps one after the other, keeps their logs, and sums up what they counted.

STEP_NAMES=()
declare -A STEP_COUNTER STEP_HEADING STEP_COMMAND

# step NAME COUNTER HEADING FUNCTION
#
# COUNTER is `check` (the step as a whole passes or fails) or a function of count.sh, which reads
# the step's log and prints "PASSED FAILED SKIPPED".
step() {
  STEP_NAMES+=("$1")
  STEP_COUNTER[$1]=$2
  STEP_HEADING[$1]=$3
  STEP_COMMAND[$1]=$4
}

# Says what is wrong and what to do about it, and ends the step.
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

run_steps() {
  if [[ ${1-} == --list ]]; then
    printf '%s\n' "${STEP_NAMES[@]}"
    return
  fi
  local name
  for name in "$@"; do
    [[ -v "STEP_COMMAND[$name]" ]] || fail "there is no step '$name'; scripts/test --list names them."
  done
  LOGS=$(mktemp -d)
  trap 'rm -rf "$LOGS"' EXIT
  TOTAL_PASSED=0
  TOTAL_FAILED=0
  FAULTS=()
  for name in "${STEP_NAMES[@]}"; do
    # The tools are always looked at: every other step rests on them, and it takes no time.
    if (($# == 0)) || [[ $name == tools || " $* " == *" $name "* ]]; then
      run_step "$name"
    fi
  done
  report
}

run_step() {
  local name=$1 log="$LOGS/$1" started=$EPOCHREALTIME status passed=0 failed=0 skipped=0
  printf '\n=== %s\n' "${STEP_HEADING[$name]}"
  # Not inside a condition: there `set -e` would have no effect within the step.
  set +e
  (
    set -euo pipefail
    "${STEP_COMMAND[$name]}"
  ) 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  set -e
  if [[ ${STEP_COUNTER[$name]} == check ]]; then
    ((status == 0)) && passed=1 || failed=1
  else
    read -r passed failed skipped < <(plain "$log" | "${STEP_COUNTER[$name]}")
    judge_suite
  fi
  TOTAL_PASSED=$((TOTAL_PASSED + passed))
  TOTAL_FAILED=$((TOTAL_FAILED + failed))
  ((failed == 0)) || FAULTS+=("$name: ${STEP_HEADING[$name]}")
  printf -- '--- %s: %d passed, %d failed, %s s\n' "$name" "$passed" "$failed" "$(seconds_since "$started")"
}

# A suite that ended badly without naming a failed test, that ran nothing or that left something
# out has failed, whatever it counted. Uses and changes the variables of run_step.
judge_suite() {
  if ((skipped > 0)); then
    echo "FAILED: $skipped tests were skipped; a test that cannot run has to fail and say why."
    failed=$((failed + skipped))
  elif ((failed == 0 && status != 0)); then
    echo "FAILED: the suite ended with status $status before it could count a failed test."
    failed=1
  elif ((failed == 0 && passed == 0)); then
    echo "FAILED: the suite ran no test at all."
    failed=1
  fi
}

# A log without colours, which some tools write even into a pipe.
plain() {
  sed $'s/\e\\[[0-9;]*m//g' "$1"
}

seconds_since() {
  awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'
}

report() {
  printf '\n=== Result, after %s s\n' "$SECONDS"
  local fault
  for fault in ${FAULTS[@]+"${FAULTS[@]}"}; do
    printf 'failed: %s\n' "$fault"
  done
  printf '%d passed, %d failed\n' "$TOTAL_PASSED" "$TOTAL_FAILED"
  ((TOTAL_FAILED == 0))
}
