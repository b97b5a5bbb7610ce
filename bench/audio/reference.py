"""Times diffusers' parts of Stable Audio's shape: reference.py small|open FRAMES CONTEXT_TOKENS THREADS -> JSON.

The Small model has no class in diffusers: its transformer is timed as one of 16 layers of width 1024 with 8 heads, without its norms of queries and keys.
"""

import json
import resource
import sys
import time

import torch
from diffusers import AutoencoderOobleck, StableAudioDiTModel
from diffusers.models.embeddings import get_1d_rotary_pos_embed

kind, frames, context, threads = sys.argv[1], *map(int, sys.argv[2:5])
torch.set_num_threads(threads)


def median(work):
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return sorted(times)[1]


with torch.no_grad():
    if kind == "open":
        sizes = dict(num_layers=24, attention_head_dim=64, num_attention_heads=24, num_key_value_attention_heads=12,
                     cross_attention_dim=768, global_states_input_dim=1536)
    else:
        sizes = dict(num_layers=16, attention_head_dim=128, num_attention_heads=8, num_key_value_attention_heads=8,
                     cross_attention_dim=1024, global_states_input_dim=768)
    dit = StableAudioDiTModel(in_channels=64, out_channels=64, cross_attention_input_dim=768, **sizes).eval()
    x, cross = torch.randn(1, 64, frames), torch.randn(1, context, 768)
    glob = torch.randn(1, 1, sizes["global_states_input_dim"])
    rotary = get_1d_rotary_pos_embed(sizes["attention_head_dim"] // 2, frames + 1, use_real=True, repeat_interleave_real=False)
    step = median(lambda: dit(x, torch.tensor([0.5]), encoder_hidden_states=cross, global_hidden_states=glob,
                            rotary_embedding=rotary, return_dict=False))
    del dit
    vae = AutoencoderOobleck().eval()
    latents = torch.randn(1, 64, frames)
    decode = median(lambda: vae.decode(latents).sample)
print(json.dumps({"step": step, "decode": decode, "memoryBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
