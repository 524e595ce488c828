"""The key light as an emitter of its own: a square that lights the scene and is no shape in it.

Mitsuba's area light is a shape. Moving it builds the search tree of the whole scene anew, which at 64 pixels takes
longer than rendering the image. No camera sees the key light and no material is a mirror, so nothing needs to hit it:
light is gathered by sampling points of the square alone, which has the same expectation.
"""

from __future__ import annotations

from typing import Any

PLUGIN = "square_lamp"


def register(mi: Any) -> None:
    """Makes the plugin known to the chosen variant. Parameters: `to_world` (the square is -1 to 1 in x and y, and
    shines along z) and `radiance`, linear RGB."""
    import drjit as dr

    class SquareLamp(mi.Emitter):  # type: ignore[misc]
        def __init__(self, props: Any) -> None:
            mi.Emitter.__init__(self, props)
            self.m_flags = mi.EmitterFlags.DeltaPosition  # never hit by a ray: light sampling stands alone
            self.to_world = mi.Transform4f(props.get("to_world", mi.ScalarTransform4f()))
            self.radiance = mi.Color3f(1.0)

        def traverse(self, cb: Any) -> None:
            cb.put("to_world", self.to_world, mi.ParamFlags.NonDifferentiable)
            cb.put("radiance", self.radiance, mi.ParamFlags.NonDifferentiable)

        def parameters_changed(self, keys: Any) -> None:
            """Nothing hangs on the parameters."""

        def sample_direction(self, it: Any, sample: Any, active: Any) -> tuple[Any, Any]:
            """A point uniform on the square, and the light from it over its density."""
            u, v = self.to_world @ mi.Vector3f(1, 0, 0), self.to_world @ mi.Vector3f(0, 1, 0)
            ds = mi.DirectionSample3f()
            ds.p = self.to_world @ mi.Point3f(2 * sample.x - 1, 2 * sample.y - 1, 0)
            ds.n = dr.normalize(dr.cross(u, v))
            ds.uv, ds.time, ds.delta = mi.Point2f(sample), it.time, True
            away = ds.p - it.p
            ds.dist = dr.norm(away)
            ds.d = away / ds.dist
            cos = -dr.dot(ds.d, ds.n)
            seen = active & (cos > 0)
            ds.pdf = dr.select(seen, mi.Float(1), mi.Float(0))
            ds.emitter = mi.EmitterPtr(self)
            area = 4 * dr.norm(dr.cross(u, v))
            return ds, dr.select(seen, self.radiance * (area * cos / dr.square(ds.dist)), mi.Color3f(0))

        def eval(self, si: Any, active: Any) -> Any:
            return mi.Color3f(0)

        def pdf_direction(self, it: Any, ds: Any, active: Any) -> Any:
            return mi.Float(0)

        def eval_direction(self, it: Any, ds: Any, active: Any) -> Any:
            return mi.Color3f(0)

        def bbox(self) -> Any:
            return mi.ScalarBoundingBox3f()

        def to_string(self) -> str:
            return "SquareLamp[]"

    mi.register_emitter(PLUGIN, SquareLamp)


def description(mi: Any) -> dict[str, Any]:
    """The lamp for `mi.load_dict`: the plugin, or Mitsuba's area light where every sample would be a Python call."""
    if mi.variant().startswith("scalar"):
        return {
            "type": "rectangle",
            "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}},
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": [1.0, 1.0, 1.0]}},
        }
    register(mi)
    return {"type": PLUGIN}
