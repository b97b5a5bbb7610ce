"""Makes tests/golden/vision: tiny checkpoints with what the reference classes give for them, and pictures with what the
reference processors make of them.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 transformers==5.23.0 bitsandbytes==0.50.2 safetensors numpy pillow==13.0.0
    .venv/bin/python reference/vision/make_golden.py
"""

import bitsandbytes
import golden_models
import golden_pictures
import PIL
import torch
import transformers
from golden import TARGET


def main() -> None:
    golden_models.make_all()
    golden_pictures.make_all()
    versions = {"transformers": transformers, "torch": torch, "bitsandbytes": bitsandbytes, "Pillow": PIL}
    made_with = ", ".join(f"{name} {module.__version__}" for name, module in versions.items())
    (TARGET / "README.md").write_text(
        f"Made by reference/vision/make_golden.py with {made_with}. Pictures: transformers' Pillow processors "
        "(MllamaImageProcessorPil, SiglipImageProcessorPil, CLIPImageProcessorPil) and reference/vision/pictures.py.\n"
    )


if __name__ == "__main__":
    main()
