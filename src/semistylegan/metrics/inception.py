"""Inception features from a file that the user gives: weights as safetensors, or a network as ONNX.

Nothing is downloaded, and nothing is unpickled. FID is the Fréchet distance of the 2,048 features before the last layer
of the Inception-v3 network of 2015.

safetensors: the weights of that network by the names of torchvision's modules (`Mixed_5b.branch1x1.conv.weight`,
`...bn.running_mean`); see docs/how-to/fid.md. The network is `inception_network`.
ONNX: any network that takes a batch of images and gives one row of features an image. Float input is fed with colours
in [-1, 1], uint8 input with bytes; N x 3 x H x W.
Images are resized (bilinear, with antialiasing) to the size that the network takes, to 299 where a file leaves it open.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from semistylegan.errors import UserError
from semistylegan.metrics.inception_network import SIDE, InceptionNetwork
from semistylegan.metrics.information import Floats

CPU = torch.device("cpu")
AT_ONCE = 25
"""Images that pass our own network together: some hundred megabytes."""
UNUSED = ("fc.", "AuxLogits.")
"""Beginnings of names of weights that come after the features."""


class Inception:
    """A feature network from a file.

    Args:
        path: the file: `.safetensors`, else ONNX.
        sha256: its hash, if it must be a certain one (in hex; the first twelve digits are enough).
        device: where it computes; an ONNX file on a GPU where the onnxruntime that is installed can, else on the CPU.

    Raises:
        UserError: no such file, another hash, neither of the two, or a network that takes or gives something else.
    """

    def __init__(self, path: Path, sha256: str | None = None, device: torch.device = CPU) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(
                f"{path}: cannot be read ({error.strerror}); give a .safetensors file of weights, or an ONNX file"
            ) from None
        self.path, self.sha256 = path, hashlib.sha256(data).hexdigest()
        if sha256 is not None and not (len(sha256) >= 12 and self.sha256.startswith(sha256.lower())):
            raise UserError(f"{path}: its SHA-256 is {self.sha256}, not {sha256}; it is not the file that was meant")
        # Both tell what they are fed with: `kind` (float32: colours in [-1, 1], uint8: bytes), `sides` (height and
        # width, None: any) and `batch` (images at once, None: any number).
        self.network = (Own if path.suffix.lower() == ".safetensors" else Onnx)(path, data, device)

    def features(self, img_BCHW: Tensor) -> Floats:
        """Features B x D of uint8 images B x (1 or 3) x H x W.

        Raises:
            UserError: the network gives something else than one row of numbers an image.
        """
        x, kind = img_BCHW.expand(-1, 3, -1, -1), self.network.kind
        size = [side or own for side, own in zip(self.network.sides, x.shape[2:], strict=True)]
        if kind == torch.float32 or list(x.shape[2:]) != size:
            x = x.float()
            if list(x.shape[2:]) != size:
                x = F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
            x = x / 127.5 - 1 if kind == torch.float32 else x.round().clamp(0, 255).byte()
        parts = [self.run(part.numpy()) for part in x.split(self.network.batch or len(x))]
        return np.concatenate(parts)

    def run(self, img_BCHW: Any) -> Floats:
        """One call of the network; a batch that is too short for it is filled up."""
        count, batch = len(img_BCHW), self.network.batch
        if batch is not None and count < batch:
            img_BCHW = np.concatenate([img_BCHW, np.repeat(img_BCHW[-1:], batch - count, axis=0)])
        out = np.asarray(self.network(np.ascontiguousarray(img_BCHW)), dtype=np.float64)
        if out.ndim == 0 or len(out) != len(img_BCHW) or out.size == 0:
            raise UserError(f"{self.path}: gives {out.shape} for {len(img_BCHW)} images, not a row of features each")
        return out.reshape(len(out), -1)[:count]


class Own:
    """`inception_network` with the weights of a safetensors file.

    Raises:
        UserError: not such a file, or other weights than the network's.
    """

    def __init__(self, path: Path, data: bytes, device: torch.device) -> None:
        self.kind, self.sides, self.batch, self.device = torch.float32, [SIDE, SIDE], None, device
        try:
            weights = load(data)
        except SafetensorError as error:
            raise UserError(f"{path}: not a safetensors file ({error}); see docs/how-to/fid.md") from None
        self.network = InceptionNetwork()
        wanted = {name: w for name, w in self.network.state_dict().items() if not name.endswith("num_batches_tracked")}
        given = {name: w for name, w in weights.items() if not name.startswith(UNUSED) and name in wanted}
        if missing := [name for name in wanted if name not in given]:
            raise UserError(
                f"{path}: no weights named {missing[0]} ({len(missing)} are missing); see docs/how-to/fid.md"
            )
        for name, w in wanted.items():
            if given[name].shape != w.shape:
                told = f"{tuple(given[name].shape)}, not {tuple(w.shape)}"
                raise UserError(f"{path}: {name} has shape {told}; it is another network than Inception-v3")
            if not torch.isfinite(given[name].float()).all():
                raise UserError(f"{path}: {name} holds NaN or infinity; convert the weights again")
        self.network.load_state_dict({name: w.float() for name, w in given.items()}, strict=False)
        self.network.eval().requires_grad_(False).to(device)

    @torch.inference_mode()
    def __call__(self, img_BCHW: Any) -> Any:
        parts = torch.from_numpy(img_BCHW).split(AT_ONCE)
        return torch.cat([self.network(part.to(self.device)) for part in parts]).cpu().numpy()


class Onnx:
    """A network from an ONNX file, run by onnxruntime.

    Raises:
        UserError: onnxruntime is not installed, not such a file, or a network that takes something else than images.
    """

    def __init__(self, path: Path, data: bytes, device: torch.device) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UserError("--inception: onnxruntime is missing; pip install 'semistylegan[onnx]'") from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(data, options, providers=providers(device))
        except Exception as error:  # onnxruntime's own classes have no common parent
            line = str(error).splitlines()[0][:120]
            raise UserError(
                f"{path}: not a network that onnxruntime can run ({line}); see docs/how-to/fid.md"
            ) from None
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

    def __call__(self, img_BCHW: Any) -> Any:
        return self.session.run(None, {self.name: img_BCHW})[0]


def providers(device: torch.device) -> list[Any]:
    """What onnxruntime is to compute with, the first that it can."""
    import onnxruntime

    cuda = "CUDAExecutionProvider"
    there = device.type == "cuda" and cuda in onnxruntime.get_available_providers()
    return [*([(cuda, {"device_id": device.index or 0})] if there else []), "CPUExecutionProvider"]
