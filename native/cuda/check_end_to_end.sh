#!/bin/bash
# A whole random model of Llama-3-8B's shape on the device of this machine, against the processor, and its speed.
# Part of check.sh, which has configured the build.
#
# usage: native/cuda/check_end_to_end.sh BUILD [LAYERS]
set -eu
build=$1
cmake --build "$build" --parallel "$(nproc)" --target lutra-cuda-whole-model > "$build/whole-model.log" 2>&1 || {
  tail -n 30 "$build/whole-model.log"
  exit 1
}
exec "$build/whole-model" "${@:2}"
