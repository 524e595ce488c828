"""Inception features from a file that the user gives: an ONNX network, run by onnxruntime. Nothing is downloaded.

FID is the Fréchet distance of the 2,048 features before the last layer of the Inception-v3 network of 2015. Any ONNX
file will do that takes a batch of images and gives one row of features an image: float input is fed with colours in
[-1, 1], uint8 input with bytes; N x 3 x H x W, resized (bilinear, with antialiasing) to the size that the file
declares, to 299 where it leaves that open.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semistylegan.errors import UserError
from semistylegan.metrics.information import Floats

SIDE = 299
"""Pixels a side where the network leaves them open."""


class Inception:
    """A feature network from an ONNX file.

    Args:
        path: the file.
        sha256: its hash, if it must be a certain one (in hex; the first twelve digits are enough).

    Raises:
        UserError: no such file, another hash, not an ONNX network, or one that takes or gives something else.
    """

    def __init__(self, path: Path, sha256: str | None = None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UserError("--inception: onnxruntime is missing; pip install 'semistylegan[onnx]'") from None
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); give the ONNX file of a network") from None
        self.path, self.sha256 = path, hashlib.sha256(data).hexdigest()
        if sha256 is not None and not (len(sha256) >= 12 and self.sha256.startswith(sha256.lower())):
            raise UserError(f"{path}: its SHA-256 is {self.sha256}, not {sha256}; it is not the file that was meant")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes have no common parent
            line = str(error).splitlines()[0][:120]
            raise UserError(f"{path}: not a network that onnxruntime can run ({line}); export it as ONNX") from None
        inputs = self.session.get_inputs()
        shape = inputs[0].shape if inputs else []
        kinds = {"tensor(float)": torch.float32, "tensor(uint8)": torch.uint8}
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or inputs[0].type not in kinds:
            takes = f"{inputs[0].type} {shape}" if inputs else "nothing"
            raise UserError(f"{path}: takes {takes}, not images N x 3 x H x W")
        self.name, self.kind = inputs[0].name, kinds[inputs[0].type]
        self.batch = shape[0] if isinstance(shape[0], int) else None
        open_side = SIDE if self.kind == torch.float32 else None
        self.sides = [side if isinstance(side, int) else open_side for side in shape[2:]]

    def features(self, img_BCHW: Tensor) -> Floats:
        """Features B x D of uint8 images B x (1 or 3) x H x W.

        Raises:
            UserError: the network gives something else than one row of numbers an image.
        """
        x = img_BCHW.expand(-1, 3, -1, -1)
        size = [side or own for side, own in zip(self.sides, x.shape[2:], strict=True)]
        if self.kind == torch.float32 or list(x.shape[2:]) != size:
            x = x.float()
            if list(x.shape[2:]) != size:
                x = F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
            x = x / 127.5 - 1 if self.kind == torch.float32 else x.round().clamp(0, 255).byte()
        parts = [self.run(part.numpy()) for part in x.split(self.batch or len(x))]
        return np.concatenate(parts)

    def run(self, img_BCHW: Any) -> Floats:
        """One call of the network; a batch that is too short for it is filled up."""
        count = len(img_BCHW)
        if self.batch is not None and count < self.batch:
            img_BCHW = np.concatenate([img_BCHW, np.repeat(img_BCHW[-1:], self.batch - count, axis=0)])
        out = np.asarray(self.session.run(None, {self.name: np.ascontiguousarray(img_BCHW)})[0], dtype=np.float64)
        if out.ndim == 0 or len(out) != len(img_BCHW) or out.size == 0:
            raise UserError(f"{self.path}: gives {out.shape} for {len(img_BCHW)} images, not a row of features each")
        return out.reshape(len(out), -1)[:count]
