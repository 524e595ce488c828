"""Pages on 127.0.0.1 for people: sliders, labelling. They need the extra `app`."""

from importlib.util import find_spec

from semistylegan.errors import UserError

if missing := [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]:
    raise UserError(f"the pages need {missing[0]}, which is not installed: pip install 'semistylegan[app]'")
