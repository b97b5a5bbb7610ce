"""What products in bf16 would cost the decoder: the signal-to-noise ratio against f32, at Oobleck's published shape.

    .venv/bin/python reference/audio/measure_bf16.py    # prints decibels; random weights, 24 latent frames
"""

import math

import torch
import torch.nn.functional as F
from diffusers import AutoencoderOobleck


def rounded(conv: torch.nn.Module):
    """The same convolution of bf16 inputs and weights, summed in f32."""
    weight = conv.weight.detach().bfloat16().float()

    def forward(x: torch.Tensor) -> torch.Tensor:
        x = x.bfloat16().float()
        if isinstance(conv, torch.nn.ConvTranspose1d):
            return F.conv_transpose1d(x, weight, conv.bias, conv.stride, conv.padding)
        return F.conv1d(x, weight, conv.bias, conv.stride, conv.padding, conv.dilation)

    return forward


def main() -> None:
    torch.manual_seed(0)
    model = AutoencoderOobleck().eval()
    latents = torch.randn(1, 64, 24)
    with torch.no_grad():
        exact = model.decode(latents).sample
        for module in model.decoder.modules():
            if isinstance(module, (torch.nn.Conv1d, torch.nn.ConvTranspose1d)):
                module.forward = rounded(module)
        narrow = model.decode(latents).sample
    ratio = (exact.pow(2).sum() / (exact - narrow).pow(2).sum()).item()
    print(f"{10 * math.log10(ratio):.1f} dB")


if __name__ == "__main__":
    main()
