"""An upload as an ONNX model in memory: a file, a zipped folder, or what torch exports of a TorchScript one."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ...onnx_session import external_files, point_external
from .speaking import JobError, log

if TYPE_CHECKING:
    from onnx import ModelProto

MOST_ENTRIES = 16
WEIGHTS = "weights.data"  # our name for the one file beside the graph


def load_source(order: dict[str, Any], folder: Path) -> tuple[ModelProto, Path]:
    """The model, and the path under which it lies with its weights beside it. Raises JobError."""
    upload = Path(order["model"])
    if order["source"] == "onnx_folder":
        graph, weights = _unpacked(upload, folder, order["unpacked_bytes"])
        model = _parsed(graph)
        names = external_files(model)
        if len(names) > 1 or (names and weights is None):
            raise JobError(
                f"The model keeps weights in {', '.join(names)}; the folder must hold them in one .data file."
            )
        if names:
            point_external(model, WEIGHTS)
        return model, _saved(model, folder)
    if order["source"] != "onnx":
        from .torchscript import converted

        upload = converted(order["source"], upload, order["inputs"], folder)
    model = _parsed(upload)
    if names := external_files(model):
        raise JobError(
            f"The model keeps weights in {', '.join(names)}, which were not uploaded. Upload a folder that ends on "
            ".onnx with both files in it, or save the model as one file."
        )
    return model, _saved(model, folder)


def zip_model(model: Path, place: Path, name: str) -> None:
    """As the client packs such a model: one folder with the file in it."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
        archive.write(model, f"{name}.onnx/model.onnx")


def _parsed(path: Path) -> ModelProto:
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own
        raise JobError(f"The upload is not a readable ONNX model ({str(error)[:200]}).") from None
    if not model.HasField("graph") or not model.graph.output:
        raise JobError("The upload is not a readable ONNX model (it holds no graph with an output).")
    return model


def _saved(model: ModelProto, folder: Path) -> Path:
    import onnx

    path = folder / "source.onnx"
    onnx.save(model, str(path))
    return path


def _unpacked(upload: Path, folder: Path, most_bytes: int) -> tuple[Path, Path | None]:
    """The graph and its weights. Names in the archive only tell which is which; none becomes a file name here."""
    try:
        archive = zipfile.ZipFile(upload)
    except zipfile.BadZipFile:
        raise JobError("The uploaded folder is not a readable zip file.") from None
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > MOST_ENTRIES:
            raise JobError(f"The uploaded folder holds {len(entries)} files; a model has at most three.")
        if sum(entry.file_size for entry in entries) > most_bytes:
            raise JobError(f"The uploaded folder is larger than the stand-in takes ({most_bytes} bytes).")
        suffixes = (".onnx", ".data", ".encodings", ".bin")
        kinds = {suffix: [entry for entry in entries if _suffix(entry) == suffix] for suffix in suffixes}
        if kinds[".encodings"]:
            raise JobError("Models with AIMET encodings are not offered by the stand-in (yet).")
        if kinds[".bin"]:
            raise JobError("The folder holds a compiled binary (.bin), which only a device can run.")
        if len(kinds[".onnx"]) != 1 or len(kinds[".data"]) > 1:
            raise JobError("The uploaded folder must hold one .onnx file and at most one .data file.")
        graph = _extract(archive, kinds[".onnx"][0], folder / "graph.onnx", most_bytes)
        weights = _extract(archive, kinds[".data"][0], folder / WEIGHTS, most_bytes) if kinds[".data"] else None
    log(f"unpacked {len(entries)} files")
    return graph, weights


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path, most_bytes: int) -> Path:
    """No more than announced: an archive can lie about its sizes."""
    left = min(entry.file_size, most_bytes)
    try:
        with archive.open(entry) as packed, place.open("wb") as stream:
            while chunk := packed.read(min(left, 2**20)):
                stream.write(chunk)
                left -= len(chunk)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise JobError(f"The uploaded folder is not a readable zip file ({error}).") from None
    return place


def _suffix(entry: zipfile.ZipInfo) -> str:
    return PurePosixPath(entry.filename.replace("\\", "/")).suffix.lower()
