"""What EVLM's and mPLUG-Owl3's processors make of a picture, with Pillow. mPLUG-Owl3's cutting follows what the
published image_processing_mplugowl3.py does; its torchvision resizing of a Pillow picture is Pillow's own."""

import math

import numpy as np
from PIL import Image

# (rows, columns) that mPLUG-Owl3 cuts a picture into: its "grid_squ_6".
GRIDS = [(2, 2), (1, 3), (1, 4), (3, 1), (4, 1), (2, 3), (3, 2)]


def normalized(pixels: np.ndarray, config: dict) -> np.ndarray:
    """uint8 (height, width, 3) -> f32 (3, height, width)"""
    x = (pixels.astype(np.float64) * config.get("rescale_factor", 1 / 255)).astype(np.float32)
    x = (x - np.float32(config["image_mean"])) / np.float32(config["image_std"])
    return x.transpose(2, 0, 1)


def evlm(picture: Image.Image, config: dict) -> np.ndarray:
    """As native/src/vision/README.md says: f32 (3, height, width)."""
    height, width = config["size"]["height"], config["size"]["width"]
    if not config.get("do_resize", True):
        return normalized(np.asarray(picture), config)
    if config.get("fit", "stretch") == "stretch":
        return normalized(np.asarray(picture.resize((width, height), config["resample"])), config)
    scale = min(height / picture.height, width / picture.width)
    new_width, new_height = (max(1, math.floor(side * scale)) for side in picture.size)
    result = np.zeros((3, height, width), np.float32)
    small = picture.resize((new_width, new_height), config["resample"])
    result[:, :new_height, :new_width] = normalized(np.asarray(small), config)
    return result


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes from the origin, as pairs of (height, width); f32 as in the published code."""
    shared = np.minimum(a[:, 0], b[:, 0]) * np.minimum(a[:, 1], b[:, 1])
    union = a[:, 0] * a[:, 1] + b[:, 0] * b[:, 1] - shared
    return shared.astype(np.float32) / (union.astype(np.float32) + np.float32(1e-5))


def grid_of(height: int, width: int, size: int) -> tuple[int, int]:
    """The grid whose shape is nearest, and of alike shapes the one whose size is."""
    boxes = np.array(GRIDS, np.int64) * size
    alike = np.stack([(np.float32(height / width) * boxes[:, 1].astype(np.float32)).astype(np.int64), boxes[:, 1]], 1)
    score = overlap(boxes, alike) * np.float32(100) + overlap(boxes, np.array([[height, width]]))
    return GRIDS[int(score.argmax())]


def mplugowl3(picture: Image.Image, size: int, cut: bool) -> np.ndarray:
    """f32 (pieces, 3, size, size): the cut pieces row by row and then the whole picture, or that alone."""
    config = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    whole = normalized(np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC)), config)
    if not cut:
        return whole[None]
    rows, columns = grid_of(picture.height, picture.width, size)
    large = normalized(np.asarray(picture.resize((columns * size, rows * size), Image.Resampling.BICUBIC)), config)
    pieces = large.reshape(3, rows, size, columns, size).transpose(1, 3, 0, 2, 4).reshape(-1, 3, size, size)
    return np.concatenate([pieces, whole[None]])
