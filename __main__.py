"""`python -m lpcv`, and the `lpcv` console script."""

import sys
from pathlib import Path


def main() -> None:
    # The repository's root IS this package, so with it as the current directory (`python -m`, `accelerate launch -m`)
    # a third party's `import evaluate` would find our folder. Nobody needs the package's inside on the path.
    inside = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != inside]

    from lpcv.cli import run  # absolute: a launcher may run this file without a parent package

    sys.exit(run())


if __name__ == "__main__":
    main()
