#!/bin/bash
# Builds, compares and measures the CUDA kernels on the device of this machine. Needs nvcc, cmake and this repository;
# works offline; ends within eight minutes.
#
# usage: native/cuda/check.sh            all of it; without a device, what needs none, and exit code 3
#        native/cuda/check.sh --compile  only compiles, for every architecture, and prints the registers' table
#
# LUTRA_CHECK_BUILD  where to build (default build/cuda-check); LUTRA_CHECK_JOBS: compilers side by side (default: cores);
# OUT: a folder that gets report.md and the logs
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${LUTRA_CHECK_BUILD:-$root/build/cuda-check}
mkdir -p "$build"
report=$build/report.md
: > "$report"
jobs=${LUTRA_CHECK_JOBS:-$(nproc)}
failed=0
began=$SECONDS
limit=470 # seconds, of all

# Runs a command for at most $1 seconds, and no longer than what is left; its output goes to the screen and to the report.
bounded() {
  local most=$1 left=$((limit - (SECONDS - began)))
  shift
  [ "$most" -lt "$left" ] || most=$left
  if [ "$most" -lt 1 ]; then
    echo "Not run, the time is up: $*"
    return 124
  fi
  timeout --kill-after=5 "$most" "$@"
}
say() { printf '%s\n' "$@" | tee -a "$report"; }
part() {
  local title=$1 most=$2
  shift 2
  say "" "" "## $title" ""
  bounded "$most" "$@" 2>&1 | tee -a "$report"
  local code=${PIPESTATUS[0]}
  if [ "$code" -ne 0 ]; then
    say "" "**Failed** with $code$([ "$code" -eq 124 ] && echo ' (out of time)')."
    failed=1
  fi
  return "$code"
}
registers() {
  local logs
  logs=$(find "$build" -name '*.cu.o.log')
  say "" "## Registers" "" "| kernel | architecture | registers | bytes spilled |" "|---|---|---|---|"
  # shellcheck disable=SC2086
  cat $logs | c++filt -p | awk -f "$here/registers.awk" | sort -u | tee -a "$report"
}
deliver() {
  if [ -n "${OUT:-}" ]; then
    mkdir -p "$OUT"
    cp "$report" "$OUT/report.md"
    [ -f "$build/build.log" ] && cp "$build/build.log" "$OUT/"
  fi
  say "" "$((SECONDS - began)) s in all."
}
configure() {
  cmake -S "$here/check" -B "$build" "$@" > "$build/build.log" 2>&1
}
compile() {
  bounded "$1" cmake --build "$build" --parallel "$jobs" --target "${@:2}" >> "$build/build.log" 2>&1
}

if ! command -v nvcc > /dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
  say "nvcc is missing: install CUDA's toolkit, 12.4 or newer."
  exit 2
fi

if [ "${1:-}" = --compile ]; then
  limit=${LUTRA_CHECK_LIMIT:-3600}
  configure "-DLUTRA_CUDA_ARCHITECTURES=${LUTRA_CUDA_ARCHITECTURES:-80;86;89;90a}" -DLUTRA_CHECK_EMULATION=OFF &&
    compile "$limit" lutra-cuda-lut-check || { tail -n 30 "$build/build.log"; say "It does not compile."; deliver; exit 1; }
  say "Compiled without warnings for ${LUTRA_CUDA_ARCHITECTURES:-80, 86, 89, 90a}, and as PTX for the oldest."
  registers
  deliver
  exit 0
fi
[ $# -eq 0 ] || { sed -n '5,6s/^# //p' "$0"; exit 2; }

say "# CUDA check" ""
has_device=0
architectures=${LUTRA_CUDA_ARCHITECTURES:-}
if command -v nvidia-smi > /dev/null; then
  if nvidia-smi -L > /dev/null 2>&1; then has_device=1; fi
elif [ -e /dev/nvidia0 ]; then
  has_device=1
  architectures=${architectures:-80;86;89;90a} # nobody says which it is
fi

if [ "$has_device" -eq 0 ]; then
  say "No device here (nvidia-smi and /dev say so): the kernels are compiled for compute capability ${LUTRA_CUDA_ARCHITECTURES:-8.0} and compared in the emulation; nothing is measured."
  configure "-DLUTRA_CUDA_ARCHITECTURES=${LUTRA_CUDA_ARCHITECTURES:-80}" &&
    compile 400 lutra-cuda-lut-check cuda-lut-test || { tail -n 30 "$build/build.log"; say "It does not build."; deliver; exit 1; }
  part "The emulation" 120 "$build/lut/cuda-lut-test"
  say ""
  "$build/lut-check" device | tee -a "$report"
  registers
  deliver
  [ "$failed" -eq 0 ] || exit 1
  exit 3
fi

configure -DLUTRA_CHECK_EMULATION=OFF ${architectures:+"-DLUTRA_CUDA_ARCHITECTURES=$architectures"} &&
  compile 240 lutra-cuda-lut-check || { tail -n 30 "$build/build.log"; say "It does not build."; deliver; exit 1; }
say "Built in $((SECONDS - began)) s."
part "The device" 20 "$build/lut-check" device
part "Every kernel against the processor" 60 "$build/lut-check" full
part "Times" 90 "$build/lut-check" time
# What matters most comes first: the sanitizers get what is left.
part "A whole model" 170 "$here/check_end_to_end.sh" "$build"
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2> /dev/null)
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck; do
    part "compute-sanitizer, $tool" 60 "$sanitizer" --tool "$tool" --error-exitcode 9 "$build/lut-check" small
  done
else
  say "" "compute-sanitizer is not installed: not run."
fi
registers
deliver
exit "$failed"
