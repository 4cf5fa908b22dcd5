"""Which NPU a model is compiled for, and in which precisions that NPU computes."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InputError, UnknownNameError
from ..devices import Device, nearest, recorded
from ..precisions import PRECISIONS

INTEGERS_ONLY = frozenset({"v68"})  # source: the devices' attributes lack htp-supports-fp16:true (devices.json)


@dataclass(frozen=True)
class Target:
    """device: AI Hub's name; soc_model: the HTP compiler's number, which alone decides; htp_arch: "v75"."""

    device: str
    soc_model: int
    htp_arch: str | None

    @property
    def integers_only(self) -> bool:
        """Whether the NPU cannot compute in half precision. The emulator does not imitate that: it computes anyway."""
        return self.htp_arch in INTEGERS_ONLY

    def demand(self, precision: str) -> None:
        """Raises UnknownNameError for a precision that there is not, InputError for one that this NPU has not."""
        if precision not in PRECISIONS:
            raise UnknownNameError("precision", precision, PRECISIONS)
        if precision == "fp16" and self.integers_only:
            raise InputError(
                f"The NPU of the {self.device} ({self.htp_arch}) computes integers only.",
                "Choose --precision w8a8 or w8a16, or a device with half precision, such as the Samsung Galaxy S24.",
            )


def target_of(device_name: str) -> Target:
    """The target of a recorded device.

    Raises UnknownNameError with the nearest names where it is not recorded, InputError where the record does not say
    which number its chip has for the compiler.
    """
    found = [device for device in recorded() if device.name == device_name]
    if not found:
        known = [device.name for device in recorded()]
        raise UnknownNameError("device", device_name, nearest(device_name, known) or known)
    device = found[-1]
    if device.soc_model is None:
        raise InputError(
            f"The record of {device.name} has no soc_model, without which nothing can be compiled for its NPU.",
            f"These have one: {', '.join(_compilable())}.",
        )
    return Target(device.name, device.soc_model, device.htp_arch)


def _compilable() -> list[str]:
    """One device for each number, the first recorded."""
    firsts: dict[int, Device] = {}
    for device in recorded():
        if device.soc_model is not None:
            firsts.setdefault(device.soc_model, device)
    return [device.name for device in firsts.values()]
