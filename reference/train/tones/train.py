"""Trains lutra-tones' decoder and its transformer side by side, each in a process of its own.

    PYTHONPATH=reference/train .venv/bin/python -m tones.train --work DIR --minutes 16.5 --device cuda

Writes DIR/lutra-tones every few minutes and at the end. OUT (--out, otherwise DIR/out) holds it with both curves and the judgements of
takes of held-out prompts (judged.jsonl) as one archive in pieces of 14 MiB: cat lutra-tones.tar.* | tar x. Asked to end (SIGTERM), it
writes what there is at once.
"""

from __future__ import annotations

import subprocess
import sys
import time

from .common import Stop, arguments

DECODER_SHARE = 0.55  # of the minutes; then the transformer has the machine alone


def main() -> None:
    options, stop = arguments(__doc__.splitlines()[0]), Stop()

    def start(module: str, minutes: float) -> subprocess.Popen:
        return subprocess.Popen([
            sys.executable, "-u", "-m", f"tones.{module}", "--work", str(options.work), "--out", str(options.out),
            "--minutes", str(minutes), "--device", options.device,
        ])

    decoder = start("train_autoencoder", options.minutes * DECODER_SHARE)
    transformer = start("train_transformer", options.minutes)
    while transformer.poll() is None and not stop:
        time.sleep(0.2)
        if decoder.poll() not in (None, 0) and not (options.work / "coder.pt").exists():
            stop.asked = True
    for process in (decoder, transformer):
        process.terminate()
        process.wait()
    sys.exit(transformer.returncode)


if __name__ == "__main__":
    main()
