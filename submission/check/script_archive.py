"""A TorchScript archive with nothing in it but what was looked at.

TorchScript is a language of its own, which computes on tensors; few of its functions reach the disk. torch finds the
members of an archive without regard to case (miniz), takes the first of two alike, and reads more than the model's own
code. So the archive is not scanned and then opened: it is rebuilt, in memory, from members whose exact names are known,
all code among them read first.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

from ...errors import InputError

KEPT = re.compile(
    r"(constants|data|attributes)\.pkl|version|byteorder|\.format_version|\.storage_alignment|\.data/(version|serialization_id)"
    r"|(constants|data|tensors)/\d+|code/(\w+/)*\w+\.py"
)
"""What a model needs. The pickles are read by TorchScript's own reader, which knows its own classes alone."""
LEFT_OUT = re.compile(
    r"code/(\w+/)*\w+\.py\.debug_pkl|traced_inputs(\.pkl|/\d+)|extra/.*|bytecode\.pkl|mobile_debug_handles\.pkl|model\.json|.*/"
)
"""What tools write beside it: where the code came from, further files of the user's, the mobile runtime's form."""
CODE = ".py"
MOST_CODE_BYTES = 2**24
"""Code is packed in the archive; that of the largest public networks is below a megabyte."""
CONTINUED = re.compile(r"\\\r?\n")
REACHES_OUT = re.compile(
    r"\b(save|from_file)\b"  # aten's two operators that reach the disk, by whatever path they are called
    r"|(?<![\w.])torch\b(?!\s*\.)"  # torch itself under another name
    r"|(?<![\w.])ops\b(?!\s*\.\s*(aten|prims?|quantized|torchvision)\b)"  # a library's own: image.write_file, say
    r"|\bgetattr\s*\((?!\s*[\w.]+\s*,\s*\"[^\"\\]*\"\s*\))"  # a name that is spelt in escapes
)
EXPORT = "`lpcv export RUN` writes an .onnx file; check that."


def tensors_only(path: Path) -> io.BytesIO:
    """The model as an archive in memory that `torch.jit.load` reads.

    Raises InputError where the archive is damaged, has members that are not TorchScript's, or code that reaches files.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            return _archive({name: _content(archive, info, path) for name, info in members.items()})
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is a damaged archive ({error}).", "Copy or download it again.") from None


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Name inside the archive's one folder -> member, of what is kept."""
    root = archive.infolist()[0].filename.partition("/")[0]
    seen: set[str] = set()
    kept = {}
    for info in archive.infolist():
        folder, _, name = info.filename.partition("/")
        if folder != root or name.casefold() in seen:
            raise _refused(path, f"two of its members may be taken for one another ({info.filename})")
        seen.add(name.casefold())
        if KEPT.fullmatch(name):
            kept[name] = info
        elif not LEFT_OUT.fullmatch(name):
            raise _refused(path, f"its {info.filename} is no part of TorchScript")
    return kept


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    code = info.filename.endswith(CODE)
    if code and info.file_size > MOST_CODE_BYTES:
        raise _refused(path, f"its {info.filename} is too large for code")
    if not code and info.compress_type != zipfile.ZIP_STORED:  # torch stores; packed ones might not fit the memory
        raise _refused(path, f"its {info.filename} is packed")
    content = archive.read(info)
    if code and (found := REACHES_OUT.search(CONTINUED.sub("", content.decode()))):
        raise _refused(path, f"its {info.filename} reaches beyond tensors ({found[0]})")
    return content


def _archive(members: dict[str, bytes]) -> io.BytesIO:
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(f"script/{name}", content)
    place.seek(0)
    return place


def _refused(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is not opened: {reason}.", EXPORT)
