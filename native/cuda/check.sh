#!/bin/bash
# Builds, compares and measures the CUDA kernels on the device of this machine. Needs nvcc, cmake, a C++ compiler and
# this repository; works offline; ends within eight minutes.
#
# usage: native/cuda/check.sh            all of it; without a device, what needs none
#        native/cuda/check.sh --compile  only compiles, for every architecture, and prints the registers' table
#
# exit code: 0 all is well; 1 something failed or did not get its turn; 2 a tool is missing; 3 all is well, without a
# device
#
# LUTRA_CHECK_BUILD  where to build (default build/cuda-check); LUTRA_CHECK_JOBS: compilers side by side (default: cores);
# LUTRA_CHECK_LIMIT: seconds for all of it; LUTRA_CUDA_ARCHITECTURES: of the code, e.g. "80;90a"; OUT: a folder that gets
# report.md and the logs
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${LUTRA_CHECK_BUILD:-$root/build/cuda-check}
report=$build/report.md
jobs=${LUTRA_CHECK_JOBS:-$(nproc)}
all_architectures='80;86;89;90a'
failed=0
began=$SECONDS
limit=${LUTRA_CHECK_LIMIT:-470}

usage() { sed -n '5,10s/^# \{0,1\}//p' "$0"; }
case ${1:-} in
  '' | --compile) [ $# -le 1 ] || { usage; exit 2; } ;;
  *) usage; exit 2 ;;
esac
mkdir -p "$build" || { echo "The folder $build cannot be made: choose another with LUTRA_CHECK_BUILD."; exit 2; }
: > "$report"

say() { printf '%s\n' "$@" | tee -a "$report"; }
left() { echo $((limit - (SECONDS - began))); }
# Runs a command for at most $1 seconds, and no longer than what is left.
bounded() {
  local most=$1 rest
  rest=$(left)
  shift
  [ "$most" -lt "$rest" ] || most=$rest
  if [ "$most" -lt 1 ]; then
    echo "Not run, the time is up: $*"
    return 124
  fi
  timeout --kill-after=5 "$most" "$@"
}
# A part of the report: its title, its most seconds, its command.
part() {
  local title=$1 most=$2 code
  shift 2
  say "" "" "## $title" ""
  bounded "$most" "$@" < /dev/null 2>&1 | tee -a "$report"
  code=${PIPESTATUS[0]}
  if [ "$code" -ne 0 ]; then
    say "" "**Failed** with $code$([ "$code" -eq 124 ] && echo ' (out of time)')."
    failed=1
  fi
  return "$code"
}
registers() {
  say "" "## Registers" "" "| kernel | architecture | registers | bytes spilled |" "|---|---|---|---|"
  find "$build" -name '*.cu.o.log' -exec cat {} + | c++filt -p | awk -f "$here/registers.awk" | sort -u | tee -a "$report"
}
deliver() {
  say "" "$((SECONDS - began)) s in all."
  [ -n "${OUT:-}" ] || return 0
  mkdir -p "$OUT" && cp "$report" "$OUT/report.md"
  [ -f "$build/build.log" ] && cp "$build/build.log" "$OUT/"
}
# The report's end, and the script's.
finish() {
  deliver
  exit "$1"
}
# Configures for $1 (architectures; empty: the device's own) with further options, and builds targets in at most $2 s.
build_all() {
  local architectures=$1 most=$2 code
  shift 2
  local options=()
  while [ "${1:0:1}" = - ]; do
    options+=("$1")
    shift
  done
  # What an earlier run chose must not stay.
  if [ -n "$architectures" ]; then
    options+=("-DLUTRA_CUDA_ARCHITECTURES=$architectures")
  else
    options+=(-ULUTRA_CUDA_ARCHITECTURES)
  fi
  if ! cmake -S "$here/check" -B "$build" "${options[@]}" > "$build/build.log" 2>&1; then
    tail -n 30 "$build/build.log"
    say "It cannot be configured; the reason stands above and in $build/build.log."
    finish 1
  fi
  bounded "$most" cmake --build "$build" --parallel "$jobs" --target "$@" >> "$build/build.log" 2>&1
  code=$?
  if [ "$code" -eq 124 ]; then
    say "It did not build in the time that there was: give it more with LUTRA_CHECK_LIMIT, and run this again to go on."
    finish 1
  elif [ "$code" -ne 0 ]; then
    tail -n 30 "$build/build.log"
    say "It does not build; the reason stands above and in $build/build.log."
    finish 1
  fi
}

if ! command -v nvcc > /dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
  say "nvcc is missing: install CUDA's toolkit, 12.4 or newer."
  finish 2
fi
for tool in cmake "${CXX:-c++}"; do
  command -v "$tool" > /dev/null || { say "$tool is missing: install it, and run this again."; finish 2; }
done

if [ "${1:-}" = --compile ]; then
  architectures=${LUTRA_CUDA_ARCHITECTURES:-$all_architectures}
  limit=${LUTRA_CHECK_LIMIT:-3600}
  build_all "$architectures" "$limit" -DLUTRA_CHECK_EMULATION=OFF lutra-cuda-lut-check lutra-cuda-whole-model
  say "Compiled without warnings for $architectures, and as PTX for the oldest."
  registers
  finish 0
fi

say "# CUDA check" ""
has_device=0
architectures=${LUTRA_CUDA_ARCHITECTURES:-}
if command -v nvidia-smi > /dev/null; then
  if nvidia-smi -L 2> /dev/null | grep -q '^GPU '; then has_device=1; fi
elif [ -e /dev/nvidia0 ]; then
  has_device=1
  architectures=${architectures:-$all_architectures} # nobody says which it is
fi

if [ "$has_device" -eq 0 ]; then
  architectures=${architectures:-80}
  limit=${LUTRA_CHECK_LIMIT:-3600} # nobody waits for a lent machine
  say "No device here (nvidia-smi and /dev say so): the kernels are compiled for compute capability $architectures and compared in the emulation; nothing is measured."
  build_all "$architectures" "$limit" -DLUTRA_CHECK_EMULATION=ON lutra-cuda-lut-check lutra-cuda-whole-model cuda-lut-test
  part "The emulation" 300 "$build/lut/cuda-lut-test"
  say ""
  # Both programs open, find no device, say so and stop.
  for program in "lut-check device" whole-model; do
    # shellcheck disable=SC2086
    "$build"/$program 2>&1 | tee -a "$report"
    code=${PIPESTATUS[0]}
    if [ "$code" -ne 3 ]; then
      say "**Failed**: $program ended with $code where 3 tells that there is no device."
      failed=1
    fi
  done
  registers
  [ "$failed" -eq 0 ] || finish 1
  finish 3
fi

build_all "$architectures" 300 -DLUTRA_CHECK_EMULATION=OFF lutra-cuda-lut-check lutra-cuda-whole-model
say "Built in $((SECONDS - began)) s."
part "The device" 30 "$build/lut-check" device || finish 1
part "Every kernel against the processor" 60 "$build/lut-check" full
part "Times" 110 "$build/lut-check" time
part "A text on a small model" 40 "$build/whole-model" text
part "A whole model of Llama-3-8B's shape" 170 "$build/whole-model"
# What matters most came first: the sanitizer gets what is left.
sanitizer=$(command -v compute-sanitizer || true)
[ -n "$sanitizer" ] || sanitizer=/usr/local/cuda/bin/compute-sanitizer
if [ -x "$sanitizer" ]; then
  for tool in memcheck racecheck; do
    part "compute-sanitizer, $tool, products" 60 "$sanitizer" --tool "$tool" --error-exitcode 9 "$build/lut-check" small
    part "compute-sanitizer, $tool, a small model" 60 "$sanitizer" --tool "$tool" --error-exitcode 9 "$build/whole-model" small
  done
else
  say "" "compute-sanitizer is not installed: not run."
fi
registers
finish "$failed"
