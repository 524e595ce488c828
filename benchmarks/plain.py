"""The training step written plainly, as public code writes it: the reference that `train_step` is measured against.

The same networks and losses as the package's default preset, from the same weights: modulated weights for each image in
one grouped convolution, equalised weights scaled at run time, real and generated images through D one after the other,
generated images drawn anew for each update, one Adam entry a weight, everything in torch's own memory layout. It shares
no forward code with the package: `tests/test_plain.py` compares both over steps, and `train_step.py` their times.

With `before=True` it also upsamples before it convolves and convolves before it pools, as StyleGAN2 does: networks of
equal width that are not ours, for the time alone.

`differences` takes both steps side by side.

Suffixes: B batch, C channels or code, I inputs, O outputs, L labelled rows, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semistylegan import losses
from semistylegan.training.parts import split, stay
from semistylegan.training.step import train_step

Weights = dict[str, Tensor]


class Plain:
    """G, D and E of one state as dictionaries of unit weights, with their optimisers."""

    def __init__(self, state, dtype: torch.dtype = torch.float64, before: bool = False) -> None:  # type: ignore[no-untyped-def]
        assert state.model.backbone == "stylegan2" and state.model.encoder == "separate"
        self.state, self.before = state, before
        self.rates: dict[str, float] = {}
        self.gradients: dict[str, Tensor] = {}
        self.weights: Weights = {}
        for key in ("G", "D", "E"):
            for prefix, module in getattr(state, key).named_modules():
                own = getattr(module, "rates", {})
                for name, value in module.named_parameters(recurse=False):
                    full = ".".join(part for part in (key, prefix, name) if part)
                    self.rates[full] = own.get(name, 1.0)
                    unit = value.detach().to(dtype).contiguous() / self.rates[full]
                    self.weights[full] = nn.Parameter(unit)
        self.average = {k: v.detach().clone() for k, v in self.weights.items() if not k.startswith("D.")}
        config = state.config
        settings = {"G": (config.lr_g, (0.0, 0.99)), "D": (config.lr_d, (0.0, 0.99)), "E": (config.lr_e, (0.9, 0.99))}
        self.adam = {
            key: torch.optim.Adam([v for k, v in self.weights.items() if k.startswith(key)], lr, betas)
            for key, (lr, betas) in settings.items()
        }

    @torch.no_grad()
    def start_from_ours(self) -> None:
        """Takes over the weights and averages that our step has reached."""
        state = self.state
        for key in ("G", "D", "E"):
            for name, value in getattr(state, key).named_parameters():
                self.weights[f"{key}.{name}"].copy_(value / self.rates[f"{key}.{name}"])
        for key, network in (("G", state.G_ema), ("E", state.E_ema)):
            for name, value in network.named_parameters():
                self.average[f"{key}.{name}"].copy_(value / self.rates[f"{key}.{name}"])

    def get(self, name: str, source: Weights | None = None) -> Tensor:
        """A weight as it is used: unit weight times its scale."""
        return (self.weights if source is None else source)[name] * self.rates[name]

    # -- G ----------------------------------------------------------------------------------------------------------

    def linear(self, x: Tensor, name: str, source: Weights | None = None) -> Tensor:
        return F.linear(x, self.get(f"{name}.weight", source), self.get(f"{name}.bias", source))

    def generate(self, z_BZ: Tensor, code_BC: Tensor) -> Tensor:
        x = torch.cat([normal(z_BZ), normal(self.linear(code_BC, "G.mapping.embed"))], dim=1)
        for i in range(len(self.state.G.mapping.layers)):
            x = F.leaky_relu(self.linear(x, f"G.mapping.layers.{i}"), 0.2)
        w, image = x, None
        x = self.get("G.const").expand(len(w), -1, -1, -1)
        for i in range(len(self.state.G.blocks)):
            block = f"G.blocks.{i}"
            if i:
                x = F.leaky_relu(self.modulated(x, w, f"{block}.up", up=True), 0.2)
            x = F.leaky_relu(self.modulated(x, w, f"{block}.conv"), 0.2)
            style_BI = self.linear(w, f"{block}.to_image.style")
            weight_OI = self.get(f"{block}.to_image.weight").t()
            here = grouped(x, (weight_OI[None] * style_BI[:, None])[..., None, None])
            here = here + self.get(f"{block}.to_image.bias")[:, None, None]
            image = here if image is None else up(image) + here
        assert image is not None
        return image

    def modulated(self, x: Tensor, w: Tensor, name: str, up: bool = False) -> Tensor:
        """StyleGAN2, equations 1 to 3: each image's own weights, in one grouped convolution."""
        style_BI = self.linear(w, f"{name}.style")
        weight = self.get(f"{name}.weight")[None] * style_BI[:, None, :, None, None]
        weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8) * math.sqrt(2)
        if up and self.before:
            x = grouped(bilinear(x), weight)
        else:
            x = bilinear(grouped(x, weight)) if up else grouped(x, weight)
        return x + self.get(f"{name}.bias")[:, None, None]

    # -- D and E ----------------------------------------------------------------------------------------------------

    def conv(self, x: Tensor, name: str, source: Weights | None = None) -> Tensor:
        weight = self.get(f"{name}.weight", source)
        return F.conv2d(x, weight, self.get(f"{name}.bias", source), padding=weight.shape[-1] // 2)

    def trunk(self, x: Tensor, key: str, source: Weights | None = None) -> list[Tensor]:
        x = F.leaky_relu(self.conv(x, f"{key}.trunk.from_image", source), 0.2)
        maps = []
        for i in range(len(self.state.D.trunk.blocks)):
            block = f"{key}.trunk.blocks.{i}"
            y = F.leaky_relu(self.conv(x, f"{block}.conv", source), 0.2)
            if self.before:
                y = F.avg_pool2d(F.leaky_relu(self.conv(y, f"{block}.down", source), 0.2), 2)
                x = y + F.avg_pool2d(self.conv(x, f"{block}.skip", source), 2)
            else:
                y = F.leaky_relu(self.conv(F.avg_pool2d(y, 2), f"{block}.down", source), 0.2)
                x = y + self.conv(F.avg_pool2d(x, 2), f"{block}.skip", source)
            maps.append(x)
        return maps

    def judge(self, img_BCHW: Tensor) -> Tensor:
        x = self.trunk(img_BCHW, "D")[-1]
        size = max(s for s in range(1, 5) if len(x) % s == 0)
        groups = x.reshape(len(x) // size, size, *x.shape[1:])
        spread = (groups.var(dim=1, unbiased=False) + 1e-8).sqrt().flatten(1).mean(dim=1)
        extra = spread.repeat_interleave(size).reshape(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        x = F.leaky_relu(self.conv(torch.cat([x, extra], dim=1), "D.conv"), 0.2)
        return self.linear(F.leaky_relu(self.linear(x.flatten(1), "D.hidden"), 0.2), "D.out")[:, 0]

    def read(self, img_BCHW: Tensor, source: Weights | None = None) -> list[Tensor]:
        """What each of E's heads says."""
        maps = self.trunk(img_BCHW, "E", source)
        return [self.head(maps, key, source) for key in ("E", "E.second") if f"{key}.out.weight" in self.weights]

    def head(self, maps: list[Tensor], key: str, source: Weights | None) -> Tensor:
        what = F.leaky_relu(self.conv(maps[-1], f"{key}.conv", source), 0.2)
        x = maps[-2]
        place = x.flatten(2).softmax(dim=2).reshape(x.shape)
        line = torch.linspace(-1, 1, x.shape[-1], dtype=x.dtype, device=x.device)
        where = [(place * line[:, None]).sum(dim=(2, 3)), (place * line).sum(dim=(2, 3))]
        maxima = [m.amax(dim=(2, 3)) for m in maps[-3:-1]] if self.state.model.resolution >= 64 else []
        seen = torch.cat([what.mean(dim=(2, 3)), what.amax(dim=(2, 3)), *where, *maxima], dim=1)
        return self.linear(F.leaky_relu(self.linear(seen, f"{key}.hidden", source), 0.2), f"{key}.out", source)

    # -- a step -----------------------------------------------------------------------------------------------------

    def update(self, key: str, loss: Callable[[], Tensor]) -> None:
        for weight in self.weights.values():
            weight.grad = None
        for name, weight in self.weights.items():
            weight.requires_grad_(name.startswith(tuple(key)))
        loss().backward()  # type: ignore[no-untyped-call]
        for network in key:
            for group in self.adam[network].param_groups:
                for weight in group["params"]:
                    # Weights without a gradient in a step count as ones with gradient zero, as in FlatAdam.
                    weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
            self.adam[network].step()
            weights = [v for k, v in self.weights.items() if k.startswith(network)]
            self.gradients[network] = torch.cat([v.grad.flatten() for v in weights if v.grad is not None])

    def step(self, part, supervised: Callable[..., Tensor], unsupervised: Callable[..., Tensor]) -> Tensor:  # type: ignore[no-untyped-def]
        """One update of D, E and G on a `Part`, in this class's dtype, before the rates fall; returns the fakes."""
        config, dtype = self.state.config, self.weights["G.const"].dtype
        real, z, code = (x.to(dtype) for x in (part.real_BCHW, part.z_BZ, part.code_BC))
        labelled = part.labelled
        with torch.no_grad():
            fake = self.generate(z, code)
            said = soft(self.read(real, self.average)[0], self.state.space)
        self.update("D", lambda: F.softplus(-self.judge(real)).mean() + F.softplus(self.judge(fake)).mean())
        share = part.share_2L[0].to(dtype)
        img = mix(labelled.img_LCHW.to(dtype), real, share)
        label = labelled.code_LC.to(dtype)
        aim = mix(label, said, share)
        changed = None
        if any(stay(config, self.state.space)):
            changed = tinted(moved(labelled.img_LCHW.to(dtype), part.moves_2L), part.tints_LCD.to(dtype))

        def loss_of_E() -> Tensor:
            known = labelled.known_LF
            loss = config.alpha * sum(supervised(head, aim, known) for head in self.read(img))
            if changed is not None:
                loss = loss + config.alpha * sum(
                    supervised(head, label, known & part.stays_LF) for head in self.read(changed)
                )
            if config.gamma_doubt:
                loss = loss + part.doubt * unsupervised(self.read(fake)[-1], said)
            return loss

        self.update("E", loss_of_E)
        if self.state.step % config.r1_interval == 0:

            def penalty() -> Tensor:
                x = real.clone().requires_grad_(True)
                (slope,) = torch.autograd.grad(self.judge(x).sum(), x, create_graph=True)
                return config.r1_interval * config.r1_gamma / 2 * slope.square().sum(dim=(1, 2, 3)).mean()

            self.update("D", penalty)

        def loss_of_G() -> Tensor:
            again = self.generate(z, code)
            return F.softplus(-self.judge(again)).mean() + config.gamma_g * unsupervised(self.read(again)[-1], code)

        self.update("G", loss_of_G)
        images = self.state.images + len(real)
        amount = 1 - 0.5 ** (len(real) / max(min(1000 * config.ema_kimg, 0.05 * images), 1e-8))
        with torch.no_grad():
            for key, value in self.average.items():
                value.lerp_(self.weights[key], amount)
        return fake


def normal(x: Tensor) -> Tensor:
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def mix(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    share = share.reshape(-1, *[1] * (a.dim() - 1))
    return share * a + (1 - share) * b


def moved(img: Tensor, by_2L: Tensor) -> Tensor:
    """Each picture moved down and to the right; its edge is repeated."""
    size, out = img.shape[-1], []
    for x, (down, right) in zip(img, by_2L.t().tolist(), strict=True):
        wide = F.pad(x[None], (size,) * 4, mode="replicate")[0]
        out.append(wide[:, size - down : 2 * size - down, size - right : 2 * size - right])
    return torch.stack(out)


def tinted(img: Tensor, by_LCD: Tensor) -> Tensor:
    """Each picture in other colours."""
    out = []
    for x, by in zip(img, by_LCD, strict=True):
        one = torch.ones_like(x[:1])
        out.append((by @ torch.cat([x, one]).flatten(1)).reshape(x.shape).clamp(-1, 1))
    return torch.stack(out)


def soft(said: Tensor, space) -> Tensor:  # type: ignore[no-untyped-def]
    out = said.clone()
    for factor, where in zip(space, space.slices, strict=True):
        if factor.kind == "categorical":
            out[:, where] = said[:, where].softmax(dim=1)
    return out


def grouped(x: Tensor, weight_BOIKK: Tensor) -> Tensor:
    """One convolution whose groups are the images."""
    batch, outputs, inputs, kernel, _ = weight_BOIKK.shape
    y = F.conv2d(x.reshape(1, -1, *x.shape[2:]), weight_BOIKK.flatten(0, 1), padding=kernel // 2, groups=batch)
    assert y.shape[1] == batch * outputs and x.shape[1] == inputs
    return y.reshape(batch, outputs, *y.shape[2:])


def bilinear(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


up = bilinear


def differences(state, batch, steps: int) -> Iterator[dict[str, float]]:  # type: ignore[no-untyped-def]
    """Takes our step and the plain one in double precision, `steps` times; after each, how far ours is from it.

    Gives the relative distance of the generated images and of each network's last gradient (that of R1 for D, in its
    turn). With a state in double precision both go on by themselves. In single precision the plain one starts each
    step from the weights that ours has reached: rounding apart, Adam follows the sign of gradients near zero. There
    `plain_*` say how far the plain step in single precision is from that in double.
    """
    plain, space, weight = Plain(state), state.space, state.config.ce_weight
    dtype = next(state.G.parameters()).dtype
    single = Plain(state, torch.float32) if dtype == torch.float32 else None
    optimisers = {"G": state.opt_G, "D": state.opt_D, "E": state.opt_E}
    for _ in range(steps):
        with default_dtype(dtype):
            (part,) = split(state, batch)
            terms = (
                lambda said, aim, known: losses.supervised(said, aim, known, space, weight),
                lambda said, code: losses.unsupervised(said, code, space, weight),
            )
            found: dict[str, float] = {}
            if single:
                plain.start_from_ours()
                single.start_from_ours()
            fake_plain = plain.step(part, *terms)
            if single:
                found["plain_images"] = relative(single.step(part, *terms), fake_plain)
                found |= {f"plain_{key}": relative(single.gradients[key], plain.gradients[key]) for key in optimisers}
            with torch.no_grad():
                found["images"] = relative(state.G(part.z_BZ, part.code_BC), fake_plain)
            train_step(state, batch)
        for key, optimiser in optimisers.items():
            ours = torch.cat([view.contiguous().flatten() for view in optimiser.gradients])
            found[key] = relative(ours, plain.gradients[key])
        yield found


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-12))
