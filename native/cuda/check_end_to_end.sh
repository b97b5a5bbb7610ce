#!/bin/bash
# A whole random model of Llama-3-8B's shape on the device of this machine, against the processor, and its speed; before
# that, a small one under compute-sanitizer where that is installed. Part of check.sh, which has configured the build.
#
# usage: native/cuda/check_end_to_end.sh BUILD [LAYERS]
set -eu
build=$1
cmake --build "$build" --parallel "$(nproc)" --target lutra-cuda-whole-model > "$build/whole-model.log" 2>&1 || {
  tail -n 30 "$build/whole-model.log"
  exit 1
}
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2> /dev/null || true)
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck; do
    echo "compute-sanitizer, $tool, a small shape:"
    timeout 60 "$sanitizer" --tool "$tool" --error-exitcode 9 "$build/whole-model" small
  done
fi
exec "$build/whole-model" "${@:2}"
