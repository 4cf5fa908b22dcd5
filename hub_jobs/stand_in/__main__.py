"""`python -m lpcv.hub_jobs.stand_in ROOT`: the server that `on_demand` starts."""

import sys
from pathlib import Path

from ...errors import LpcvError
from .serve import serve

if __name__ == "__main__":
    try:
        serve(Path(sys.argv[1]), until_unused=True)
    except LpcvError as error:
        sys.exit(str(error))
