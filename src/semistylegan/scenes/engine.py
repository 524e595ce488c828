"""From a stage to pictures: Mitsuba's path tracer, Open Image Denoise, one tone curve.

Each process loads a stage once and then changes parameters. What stands still lies in a group of its own, so that a
moved robot rebuilds the search tree of the moving parts alone. The random numbers of a pixel are the same in every
image: no image depends on what was rendered before it, in which process or in which order, and two images differ where
their factors make them differ, not by the grain of a few samples.

Suffixes: H x W pixels, 3 channels (linear RGB until the tone curve).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from semistylegan.errors import UserError
from semistylegan.factors import IntArray
from semistylegan.scenes import lamp, variant
from semistylegan.scenes.materials import Material, Texture, linear
from semistylegan.scenes.meshes import Mesh
from semistylegan.scenes.stage import By, Camera, Lamp, Stage

T = TypeVar("T")
Image = npt.NDArray[np.float32]
DEPTH = 4
"""Longest path, in edges: light, two surfaces, camera is 3. At 3 the kitchen is 2 dB further from the truth."""
GUIDE_SAMPLES = 16
"""Samples a pixel of albedo and normals, which guide the denoiser. They cost little."""
STEADY, KEY, GUIDE = 0, 1, 2


def samples(resolution: int) -> tuple[int, int]:
    """Samples a pixel: of the steady light, of the key light."""
    return (4, 8) if resolution <= 256 else (8, 16)


def details(resolution: int) -> dict[str, Any]:
    """What decides the bytes beside the stage: goes into a data set's metadata."""
    chosen = variant.choose()
    steady, key = samples(resolution)
    return {
        "variant": chosen.name,
        "samples": f"{key} key + {steady} steady",
        "denoiser": f"Open Image Denoise (pyoidn {variant.version_of('pyoidn')})",
        "mitsuba": variant.version_of("mitsuba"),
        "drjit": variant.version_of("drjit"),
    }


def render(stage: Stage, index: int, resolution: int) -> npt.NDArray[np.uint8]:
    """The image of one point of the grid.

    Args:
        stage: what to render.
        index: 0 to `stage.factors.total` - 1.
        resolution: pixels a side.

    Returns:
        uint8, resolution x resolution x 3. The same index gives the same bytes.

    Raises:
        UserError: an index outside the grid; Mitsuba is not installed.
    """
    return opened(stage).image(index, resolution)


@functools.cache
def opened(stage: Stage) -> Engine:
    """The loaded stage of this process."""
    return Engine(stage)


def tone(light_HW3: Image) -> npt.NDArray[np.uint8]:
    """Linear light -> sRGB: a filmic curve (Narkowicz 2015, "ACES filmic tone mapping curve"), its toe lifted."""
    x = 0.72 * np.maximum(light_HW3, 0)
    y = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    srgb = np.where(y <= 0.0031308, 12.92 * y, 1.055 * y ** (1 / 2.4) - 0.055)
    return np.rint(255 * srgb).astype(np.uint8)


class Engine:
    """A stage, loaded. Use one a process: :func:`opened`."""

    def __init__(self, stage: Stage) -> None:
        os.environ["OIDN_NUM_THREADS"] = "1"  # one thread a process: as many processes as cores
        self.mi = mi = variant.load()
        self.stage = stage
        self.sensors: dict[int, Any] = {}
        self.recorded: dict[tuple[Any, ...], Any] = {}
        self.denoise = True
        self.record = not mi.variant().startswith("scalar")
        self.integrator = mi.load_dict({"type": "path", "max_depth": DEPTH, "rr_depth": DEPTH + 1})
        self.guide = mi.load_dict({"type": "aov", "aovs": "albedo:albedo,normal:sh_normal"})
        self._load()
        self._now: dict[str, tuple[int, ...]] = {}
        self._kept: dict[int, tuple[Any, Any]] = {}

    # -- loading -------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Loads all things once and two scenes of them, which differ in their lights alone.

        Raises:
            UserError: a function of poses or colours names what is no thing.
        """
        stage, mi = self.stage, self.mi
        things = stage.things()
        self._first: dict[str, dict[str, Mesh]] = {"poses": {}}
        for part, by in (("poses", stage.poses), *((f"colours {n}", by) for n, by in enumerate(stage.colours))):
            names = by.function(*[0] * len(by.factors)) if by else ()
            if absent := [name for name in names if name not in things]:
                raise UserError(f"scene {stage.name}: no thing is called {absent[0]}; there are {', '.join(things)}")
            self._first[part] = {name: things[name].mesh for name in names}
        coloured = {name for part, meshes in self._first.items() if part != "poses" for name in meshes}
        materials: dict[int | str, Any] = {}
        groups: dict[str, dict[str, Any]] = {"still": {"type": "shapegroup"}, "moving": {"type": "shapegroup"}}
        for name, thing in things.items():
            key = name if name in coloured else id(thing.material)  # what changes colour shares its material with none
            if key not in materials:
                materials[key] = (thing.material, mi.load_dict(self._resolved(thing.material)))
            shape = self._shape(name, thing.mesh, materials[key][1])
            groups["moving" if name in self._first["poses"] else "still"][name] = shape
        loaded = {name: mi.load_dict(group) for name, group in groups.items() if len(group) > 1}
        sets = {f"{name}_set": {"type": "instance", "group": group} for name, group in loaded.items()}
        sky = {"type": "constant", "radiance": {"type": "rgb", "value": list(stage.sky)}}
        steady = {name: self._resolved(light) for name, light in stage.lights().items()}
        self.scenes = (
            mi.load_dict({"type": "scene", **loaded, **sets, "sky": sky, **steady}),
            mi.load_dict({"type": "scene", **loaded, **sets, "key": lamp.description(mi)}),
        )
        self.params = tuple(mi.traverse(scene) for scene in self.scenes)
        self._lamp_colour = next(k for k in self.params[1].keys() if k.startswith("key.") and "radiance" in k)  # noqa: SIM118

    def _shape(self, name: str, mesh: Mesh, material: Any) -> Any:
        props = self.mi.Properties()
        props["bsdf"] = material
        shape = self.mi.Mesh(
            name,
            len(mesh.vertices),
            len(mesh.faces),
            has_vertex_normals=True,
            has_vertex_texcoords=True,
            props=props,
        )
        params = self.mi.traverse(shape)
        params["faces"] = np.ascontiguousarray(mesh.faces, dtype=np.uint32).ravel()
        params["vertex_positions"] = _flat(mesh.vertices)
        params["vertex_normals"] = _flat(mesh.normals)
        params["vertex_texcoords"] = _flat(mesh.uv)
        params.update()
        return shape

    def _resolved(self, material: Mapping[str, Any]) -> Material:
        """A material or light whose textures are bitmaps and whose 4 x 4 arrays are transforms."""
        out: Material = {}
        for key, value in material.items():
            if isinstance(value, np.ndarray):
                out[key] = self.mi.ScalarTransform4f(value)
            elif isinstance(value, Texture):
                pixels = np.rint(255 * np.clip(value.image_HW3, 0, 1)).astype(np.uint8)
                u, v = value.metres if isinstance(value.metres, tuple) else (value.metres, value.metres)
                out[key] = {
                    "type": "bitmap",
                    "bitmap": self.mi.Bitmap(np.ascontiguousarray(pixels)),
                    "to_uv": self.mi.ScalarTransform3f().scale([1 / u, 1 / v]),
                }
            else:
                out[key] = self._resolved(value) if isinstance(value, Mapping) else value
        return out

    def sensor(self, resolution: int) -> Any:
        """Made at its final size: a film that changes its size changes the bytes."""
        if resolution not in self.sensors:
            film = {
                "type": "hdrfilm",
                "width": resolution,
                "height": resolution,
                "rfilter": {"type": "box"},  # the denoiser wants pixels whose noise is independent
                "pixel_format": "rgb",
                "component_format": "float32",
            }
            self.sensors[resolution] = self.mi.load_dict(
                {"type": "perspective", "near_clip": 0.05, "film": film, "sampler": {"type": "multijitter"}}
            )
        return self.sensors[resolution]

    # -- images --------------------------------------------------------------------------------------------------

    def image(self, index: int, resolution: int) -> npt.NDArray[np.uint8]:
        """:func:`render`."""
        try:
            return tone(self.light(index, resolution))
        except BaseException:
            self._now.clear()  # what the next image does not set anew may be half set
            raise

    def light(self, index: int, resolution: int) -> Image:
        """What the camera sees of one point of the grid, linear, H x W x 3."""
        stage = self.stage
        values_F = stage.factors.values_of(index)
        steady_samples, key_samples = samples(resolution)
        scene_index = stage.without(values_F, stage.key, stage.strength)
        albedo_HW3, normal_HW3, steady_HW3 = self._once(
            STEADY, (scene_index, resolution), lambda: self._steady(values_F, resolution, steady_samples)
        )
        key_index = stage.without(values_F, stage.strength)

        def key() -> Image:
            self._show(values_F, resolution, key=True)
            return self._clean(self._trace(KEY, resolution, key_samples), albedo_HW3, normal_HW3)

        key_HW3 = self._once(KEY, (key_index, resolution), key)
        strength = stage.strength.function(*stage.strength.values(stage.factors, values_F))
        return np.asarray(stage.exposure * (strength * key_HW3 + steady_HW3), dtype=np.float32)

    def forget(self) -> None:
        """Forgets what was rendered last and what is shown: for whoever changes the engine's settings."""
        self._kept.clear()
        self._now.clear()
        self.recorded.clear()

    def _once(self, kind: int, what: Any, make: Any) -> Any:
        """The last result of its kind, where it is of the same thing."""
        if kind not in self._kept or self._kept[kind][0] != what:
            self._kept[kind] = (what, make())
        return self._kept[kind][1]

    def _steady(self, values_F: IntArray, resolution: int, count: int) -> tuple[Image, Image, Image]:
        self._show(values_F, resolution, key=False)
        aov_HW6 = self._trace(GUIDE, resolution, GUIDE_SAMPLES)
        albedo_HW3 = np.ascontiguousarray(np.clip(aov_HW6[..., :3], 0, 1))
        normal_HW3 = np.ascontiguousarray(aov_HW6[..., 3:6])
        light_HW3 = self._trace(STEADY, resolution, count)
        return albedo_HW3, normal_HW3, self._clean(light_HW3, albedo_HW3, normal_HW3)

    def _trace(self, kind: int, resolution: int, count: int) -> Image:
        """Renders what the stage shows now: H x W x 3, or x 6 of the guide."""
        scene, sensor = self.scenes[kind == KEY], self.sensor(resolution)
        integrator = self.guide if kind == GUIDE else self.integrator
        if not self.record:
            return np.array(self.mi.render(scene, sensor=sensor, integrator=integrator, spp=count, seed=kind))
        import drjit

        # Recorded once and replayed: Mitsuba would otherwise trace the whole program again for every image. A recording
        # does not see a new search tree of the moving things, so that each pose needs its own.
        program = (kind, resolution, count)
        if program not in self.recorded:

            def run(scene: Any, sensor: Any, seed: Any) -> Any:  # a plain number would be taken for a constant
                return self.mi.render(scene, sensor=sensor, integrator=integrator, spp=count, seed=seed)

            self.recorded[program] = drjit.freeze(run)
        return np.array(self.recorded[program](scene, sensor, drjit.opaque(self.mi.UInt32, kind)))

    def _clean(self, light_HW3: Image, albedo_HW3: Image, normal_HW3: Image) -> Image:
        if not self.denoise:
            return light_HW3
        import pyoidn

        return pyoidn.denoise(light_HW3, albedo=albedo_HW3, normal=normal_HW3, hdr=True)

    # -- what changes --------------------------------------------------------------------------------------------

    def _show(self, values_F: IntArray, resolution: int, key: bool) -> None:
        """Sets the stage: everything of this image, and the key light where it is wanted."""
        stage, mi = self.stage, self.mi
        dark, lit = self.params
        if stage.poses and self._changed("poses", stage.poses.values(stage.factors, values_F)):
            self.recorded.clear()
            for name, mesh in self._made("poses", stage.poses).items():
                for kind, array in (("vertex_positions", mesh.vertices), ("vertex_normals", mesh.normals)):
                    dark[self._parameter(name, kind)] = _flat(array)
                    # Also where they are the same as before: without normals, Mitsuba makes its own.
                    dark.set_dirty(self._parameter(name, kind))
            lit.set_dirty("moving_set.to_world")  # has the other scene look at them again
        for number, by in enumerate(stage.colours):
            if self._changed(f"colours {number}", by.values(stage.factors, values_F)):
                for name, colour in self._made(f"colours {number}", by).items():
                    dark[self._parameter(name, "base_color.value", "reflectance.value")] = mi.Color3f(linear(colour))
        if key and self._changed("key", stage.key.values(stage.factors, values_F)):
            place: Lamp = stage.key.function(*self._now["key"])
            lit["key.to_world"] = self._opaque(self._look(place) @ mi.ScalarTransform4f().scale(place.half))
            lit[self._lamp_colour] = mi.Color3f(list(place.colour))
        dark.update()
        lit.update()
        camera = stage.camera.values(stage.factors, values_F)
        if self._changed(f"camera {resolution}", camera):
            view: Camera = stage.camera.function(*camera)
            sensor = mi.traverse(self.sensor(resolution))
            sensor["to_world"] = self._opaque(self._look(view))
            sensor["x_fov"] = view.fov
            sensor.update()

    def _changed(self, part: str, values: tuple[int, ...]) -> bool:
        if self._now.get(part) == values:
            return False
        self._now[part] = values
        return True

    def _made(self, part: str, by: By[Mapping[str, T]]) -> Mapping[str, T]:
        """What a part makes of the values that are shown now, by the names of things.

        Raises:
            UserError: it names other things than for the first image, or a mesh is not the first one, moved.
        """
        first, made = self._first[part], by.function(*self._now[part])
        where = ", ".join([f"scene {self.stage.name}", *map("{}={}".format, by.factors, self._now[part])])
        if made.keys() != first.keys():
            fix = "name the same things whatever the values"
            raise UserError(f"{where}: {', '.join(made)} change, but where all is 0 {', '.join(first)}; {fix}")
        for name, new in made.items():
            old = first[name]
            if isinstance(new, Mesh) and not (
                len(new.vertices) == len(old.vertices) and np.array_equal(new.faces, old.faces)
            ):
                counts = f"{len(new.vertices)} vertices and {len(new.faces)} faces"
                before = f"{len(old.vertices)} and {len(old.faces)}"
                raise UserError(f"{where}: {name} has {counts}, but {before} at first; keep the faces in all poses")
        return made

    def _parameter(self, thing: str, *ends: str) -> str:
        """The one parameter of a thing that ends so.

        Raises:
            UserError: there is none, or there are several.
        """
        found = [k for k in self.params[0].keys() if thing in k.split(".") and k.endswith(ends)]  # noqa: SIM118
        if len(found) != 1:
            fix = "give it a material of one plain colour, without a texture"
            raise UserError(f"scene {self.stage.name}: {thing} has {len(found)} colours that can change; {fix}")
        return found[0]

    def _look(self, place: Camera | Lamp) -> Any:
        origin, target = ([float(v) for v in point] for point in (place.origin, place.target))
        if origin == target:
            kind = type(place).__name__
            raise UserError(f"scene {self.stage.name}: a {kind} stands at its target, {origin}; move one of them")
        dx, dy, dz = np.subtract(target, origin)
        up = [0, 1, 0] if np.hypot(dx, dy) < 1e-6 * abs(dz) else [0, 0, 1]  # not the way it looks
        return self.mi.ScalarTransform4f().look_at(origin, target, up)

    def _opaque(self, transform: Any) -> Any:
        """Keeps a place from being compiled into the code, which would be compiled anew for the next place."""
        if self.mi.variant().startswith("scalar"):
            return transform
        import drjit

        out = self.mi.Transform4f(transform)
        drjit.make_opaque(out)
        return out


def _flat(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(array, dtype=np.float32).ravel()
