"""Batches for training: made when asked for, or by other processes ahead of time.

With other processes the newest rows lie in a ring on the training's device, and a batch is a random draw of them: nothing
is waited for, and where the card is faster than the processes, rows are seen more than once.
"""

import json
import multiprocessing
import os
import queue
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from batches import Batches


def work(config: str, tokenizer: str, seed: int, ready) -> None:
    """What a process does until its parent is gone: puts batches into a queue."""
    parent = os.getppid()
    batches = Batches(json.loads(config), Tokenizer.from_str(tokenizer), random.Random(seed))
    while os.getppid() == parent:
        made = batches.next()
        while os.getppid() == parent:
            try:
                ready.put(made, timeout=2)
                break
            except queue.Full:
                pass


class Supply:
    def __init__(self, config: dict, tokenizer: Tokenizer, seed: int, workers: int, device: torch.device):
        self.config, self.device, self.workers = config, device, []
        self.fresh = self.drawn = 0
        if workers == 0:
            self.batches = Batches(config, tokenizer, random.Random(seed))
            return
        # Data takes one thread a process; a process that is forked after CUDA has begun would be lost.
        os.environ |= {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
        context = multiprocessing.get_context("spawn")
        self.ready = context.Queue(maxsize=16)
        given = json.dumps(config), tokenizer.to_str()
        self.workers = [context.Process(target=work, args=(*given, seed * 1000 + number, self.ready), daemon=True) for number in range(workers)]
        for worker in self.workers:
            worker.start()
        shape = config["ring_rows"], config["row_tokens"]
        self.tokens, self.targets = (torch.zeros(shape, dtype=torch.int16, device=device) for _ in range(2))

    def _take(self, timeout: float) -> bool:
        """Whether a batch came, which now is in the ring."""
        try:
            made = self.ready.get(timeout=timeout) if timeout else self.ready.get_nowait()
        except queue.Empty:
            return False
        at = self.fresh % (len(self.tokens) - len(made[0]) + 1)
        for ring, rows in zip((self.tokens, self.targets), made, strict=True):
            ring[at : at + len(rows)] = torch.from_numpy(rows).to(self.device)
        self.fresh += len(made[0])
        return True

    def fill(self) -> None:
        """Waits until the ring has the rows that a start needs. Raises RuntimeError when no process is left to make one."""
        while self.workers and self.fresh < self.config["first_rows"]:
            if not self._take(10) and not any(worker.is_alive() for worker in self.workers):
                raise RuntimeError("all processes that make data have ended")

    def next(self) -> tuple[Tensor, Tensor]:
        """Tokens and targets, int16 of (rows, length), on the device."""
        rows = self.config["rows"]
        self.drawn += rows
        if not self.workers:
            self.fresh += rows
            tokens, targets = (torch.from_numpy(each).to(self.device) for each in self.batches.next())
            return tokens, targets
        for _ in range(4):
            if not self._take(0):
                break
        chosen = torch.randint(min(self.fresh, len(self.tokens)), (rows,), device=self.device)
        return self.tokens[chosen], self.targets[chosen]

    def close(self) -> None:
        for worker in self.workers:
            worker.terminate()
