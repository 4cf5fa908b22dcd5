"""What the stand-in needs beyond the package's own requirements. Imports none of it."""

from __future__ import annotations

from importlib.util import find_spec

from ...errors import MissingStepError

REMEDY = "Run `pip install 'lpcv[hub]'`."
# Module -> what it is installed as
NEEDED = {"qai_hub": "qai-hub", "h5py": "h5py", "starlette": "starlette", "uvicorn": "uvicorn"}


def demand_stand_in() -> None:
    """Raises MissingStepError where a package of the extra `hub` is missing, naming it."""
    missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
    if missing:
        raise MissingStepError(f"The stand-in needs {', '.join(missing)}, which is not installed here.", REMEDY)
