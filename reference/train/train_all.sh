#!/bin/bash
# Trains the three demo models side by side on one NVIDIA card: what models/ holds was made so, in 17.5 minutes of an H100
# (lutra-tones in 12 of them). Needs 16 cores, 25 GB of the card's memory, and Python with torch, tokenizers, safetensors,
# numpy and pillow; tells how each is doing every minute.
#
# usage: reference/train/train_all.sh OUT [MINUTES]
#
# Again with the same OUT: all go on from their last checkpoints. Then: ship_guide.py with OUT/guide; shapes/export.py with
# what is in OUT/shapes/shapes.tar; tones/noise_path.py with OUT/tones/lutra-tones; and evaluate_*.py.
set -u
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
minutes=${2:-17.5}
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 TORCHINDUCTOR_COMPILE_THREADS=4 PYTHONPATH=$here
mkdir -p "$out/guide" "$out/shapes" "$out/tones/out"

python3 "$here/guide/train.py" --device cuda --workers 4 --minutes "$minutes" --out "$out/guide" >> "$out/guide/log.txt" 2>&1 &
guide=$!
python3 "$here/shapes/train.py" --device cuda --workers 7 --minutes "$minutes" --out "$out/shapes" \
  --tokenizer "$here/../../models/lutra-shapes/tokenizer.json" >> "$out/shapes/log.txt" 2>&1 &
shapes=$!
python3 -W ignore -m tones.train --device cuda --minutes "$minutes" --work "$out/tones" --out "$out/tones/out" >> "$out/tones/log.txt" 2>&1 &
tones=$!
trap 'kill "$guide" "$shapes" "$tones" 2> /dev/null' INT TERM

while [ -n "$(jobs -rp)" ]; do
  for ((second = 0; second < 60 && $(jobs -rp | wc -l) > 0; second++)); do sleep 1; done
  for name in guide shapes tones; do printf '%s: %s\n' "$name" "$(tail -n 1 "$out/$name/log.txt" | cut -c 1-400)"; done
done
failed=0
for name in guide shapes tones; do
  wait "${!name}" || { echo "$name failed: the end of $out/$name/log.txt says why."; failed=1; }
done
exit "$failed"
