"""Worker processes that make batches ahead of the training, and their way to where it trains."""

import os
import queue
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rows import Layout, Writer

_AHEAD = 24  # batches in the queue


def _work(seed: int, tokenizer: Path, layout: Layout, media_id: int, easy_share, with_text, batches, parent: int) -> None:
    from tokenizers import Tokenizer

    writer = Writer(Tokenizer.from_file(str(tokenizer)), layout, media_id)
    rng = np.random.default_rng(seed)
    while os.getppid() == parent:
        has_text = bool(with_text.value)
        batch = writer.batch(rng, float(easy_share.value), has_text)
        while os.getppid() == parent:
            try:
                batches.put((has_text, batch), timeout=5)
                break
            except queue.Full:
                continue


class Feed:
    """`next()` gives a batch as tensors on the device. Make it before anything touches a GPU: workers are forks. `first`
    differs from run to run, so that one that goes on sees new scenes."""

    def __init__(self, workers: int, first: int, tokenizer: Path, layout: Layout, media_id: int, easy_share: float, with_text: bool):
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        context = get_context("fork")
        self.easy_share, self.with_text = context.Value("d", easy_share), context.Value("b", with_text)
        self._batches = context.Queue(maxsize=_AHEAD)
        shared = (tokenizer, layout, media_id, self.easy_share, self.with_text, self._batches, os.getpid())
        self._workers = [context.Process(target=_work, args=((first, i), *shared), daemon=True) for i in range(workers)]
        for worker in self._workers:
            worker.start()
        self._ready: queue.Queue = queue.Queue(maxsize=4)
        self.waited = 0.0  # seconds, since it was last set to 0

    def start(self, device: torch.device) -> None:
        """Batches are laid where the device can fetch them from while it works on others."""
        self._device = device
        threading.Thread(target=self._pin, daemon=True).start()

    def _pin(self) -> None:
        while True:
            has_text, batch = self._batches.get()
            tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
            if self._device.type == "cuda":
                tensors = {name: each.pin_memory() for name, each in tensors.items()}
            self._ready.put((has_text, tensors))

    def next(self) -> dict[str, Tensor]:
        began = time.monotonic()
        has_text, batch = self._ready.get()
        while self.with_text.value and not has_text:
            has_text, batch = self._ready.get()
        self.waited += time.monotonic() - began
        return {name: each.to(self._device, non_blocking=True) for name, each in batch.items()}

    def stop(self) -> None:
        for worker in self._workers:
            worker.terminate()
