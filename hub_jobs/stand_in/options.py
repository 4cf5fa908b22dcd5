"""The options string of a job: which are known, what they mean here, and which are only noted.

The names are those of the service's documentation and of public scripts; how the service words a refusal is not known.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from .settings import CPU, EMULATOR

RUNTIMES = ("tflite", "onnx", "qnn_dlc", "qnn_context_binary", "precompiled_qnn_onnx")
UNITS = ("npu", "gpu", "cpu", "all")
DEFAULT_RUNTIME = "tflite"  # what the service assumes is not established

# Accepted, and without effect here: name -> whether a value follows. The log says so for each.
NOT_IMITATED = {
    "compile": {
        "--quantize_full_type": True, "--quantize_io": False, "--quantize_io_type": True,
        "--quantize_weight_type": True, "--lite_mp": True, "--truncate_64bit_tensors": False, "--qnn_options": True,
        "--qairt_version": True, "--qnn_graph_name": True, "--qnn_context_binary_vtcm": True,
        "--qnn_context_binary_optimization_level": True, "--qnn_bin_conversion_via_model_library": False,
        "--range_supervision": False,
    },
    "inference": {
        "--tflite_options": True, "--tflite_delegates": True, "--onnx_options": True,
        "--onnx_execution_providers": True, "--qnn_options": True, "--qairt_version": True,
        "--dequantize_outputs": False, "--max_profiler_time": True,
    },
}  # fmt: skip
# Those that count here: name -> whether a value follows.
MEANT = {
    "compile": {
        "--target_runtime": True, "--output_names": True, "--truncate_64bit_io": False, "--compute_unit": True,
    },
    "inference": {"--max_profiler_iterations": True, "--compute_unit": True},
}  # fmt: skip
# They would change what goes in or comes out, so a job that names one fails instead of doing something else.
CHANGES_THE_INTERFACE = ("--force_channel_last_input", "--force_channel_last_output")


class OptionsError(Exception):
    """A sentence that names the option."""


@dataclass(frozen=True)
class CompileOptions:
    """runtime: one of RUNTIMES; output_names: () leaves them as they are; units: of UNITS, () where none was named."""

    runtime: str
    runtime_was_named: bool
    output_names: tuple[str, ...]
    truncate_64bit_io: bool
    units: tuple[str, ...]
    not_imitated: tuple[str, ...]


@dataclass(frozen=True)
class RunOptions:
    """units: of UNITS, () where none was named."""

    iterations: int
    units: tuple[str, ...]

    @property
    def emulated(self) -> bool:
        """Whether the NPU's emulator computes the outputs: where the NPU alone is asked for."""
        return self.units == ("npu",)

    not_imitated: tuple[str, ...]


def compile_options(text: str) -> CompileOptions:
    """Raises OptionsError."""
    given = _split(text, "compile", MEANT["compile"])
    names = given.pop("--output_names", None)
    output_names = tuple(name.strip() for name in names.split(",")) if names is not None else ()
    if "" in output_names or len(set(output_names)) != len(output_names):
        raise OptionsError("Option --output_names must list different names with commas between them.")
    runtime = given.pop("--target_runtime", None)
    if runtime is not None and runtime not in RUNTIMES:
        raise OptionsError(f"Option --target_runtime: there is no runtime '{runtime}'; known: {', '.join(RUNTIMES)}.")
    truncate = given.pop("--truncate_64bit_io", None)
    units = _units(given)
    return CompileOptions(
        runtime or DEFAULT_RUNTIME, runtime is not None, output_names, truncate is not None, units, tuple(given)
    )


def run_options(text: str) -> RunOptions:
    """Raises OptionsError."""
    given = _split(text, "inference", MEANT["inference"])
    iterations = given.pop("--max_profiler_iterations", "100")
    if not (iterations.isascii() and iterations.isdigit() and 1 <= len(iterations) <= 6 and int(iterations)):
        raise OptionsError(f"Option --max_profiler_iterations must be a whole number from 1, not '{iterations}'.")
    units = _units(given)
    return RunOptions(int(iterations), units, tuple(given))


def engine_of(text: str, *, profiling: bool, with_data: bool) -> str | None:
    """What a job with these options runs on, for `settings.ran_on`; None for the CPU. Times are always the CPU's."""
    try:
        emulated = run_options(text).emulated and with_data
    except OptionsError:
        return None
    if not emulated:
        return None
    return f"{EMULATOR} (its times: {CPU})" if profiling else EMULATOR


def _units(given: dict[str, str]) -> tuple[str, ...]:
    """Take --compute_unit out of what was given. Raises OptionsError."""
    text = given.pop("--compute_unit", None)
    units = tuple(unit.strip().lower() for unit in text.split(",")) if text is not None else ()
    if unknown := [unit for unit in units if unit not in UNITS]:
        raise OptionsError(f"Option --compute_unit: there is no unit '{unknown[0]}'; known: {', '.join(UNITS)}.")
    return units


def runtime_of(text: str) -> str:
    """The runtime that is asked for, as far as the text can be read: the target's type is fixed at submission."""
    try:
        return compile_options(text).runtime
    except OptionsError:
        return DEFAULT_RUNTIME


def _split(text: str, kind: str, meant: dict[str, bool]) -> dict[str, str]:
    """option -> value ("" where it takes none); `--option value` and `--option=value`."""
    known = {**NOT_IMITATED[kind], **meant}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise OptionsError(f"The options cannot be read ({error}): {text}") from None
    given: dict[str, str] = {}
    at = 0
    while at < len(words):
        option, equals, value = words[at].partition("=")
        at += 1
        if option in CHANGES_THE_INTERFACE:
            raise OptionsError(f"Option {option} changes the model's inputs or outputs; the stand-in does not do that.")
        if option not in known:
            raise OptionsError(f"Unknown option {option} for a {kind} job.")
        following = at < len(words) and not words[at].startswith("--")
        if known[option] and not equals:
            if not following:
                raise OptionsError(f"Option {option} needs a value.")
            value = words[at]
            at += 1
        elif not known[option] and not equals and following and words[at].lower() in ("true", "false"):
            value = words[at]  # "--quantize_io false" is seen in public scripts
            at += 1
        given[option] = value
    return given
