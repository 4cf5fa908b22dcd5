"""transformers' models from the hub or a local folder: whole, safetensors only, and no code of theirs is ever run."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.utils import logging as hub_logging
from transformers import AutoConfig
from transformers.utils import logging as transformers_logging

from ..console import note
from ..errors import InputError, UnreachableError, first_line

# Their bars and retry warnings say nothing that our one sentence does not.
transformers_logging.disable_progress_bar()
transformers_logging.set_verbosity_error()
hub_logging.set_verbosity_error()

# The hub's names begin with a letter, a digit or an underscore: ./nowhere and ../nowhere are folders that are not here.
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*(?<!\.png)(?<!\.jpg)(?<!\.onnx)")


@dataclass(frozen=True)
class HubWeights:
    """Where weights are loaded from, and the words for sentences about them.

    name: a hub id or a local folder; option: under which it is typed, "--teacher"
    noun: what it should be, "transformers depth model"; files: what a folder needs; otherwise: another way out, or ""
    """

    name: str
    option: str
    noun: str
    files: str
    otherwise: str = ""

    @property
    def is_folder(self) -> bool:
        return Path(self.name).is_dir()

    @property
    def is_possible(self) -> bool:
        """Whether this is a folder that is here, or may be a hub id."""
        return self.is_folder or bool(HUB_ID.fullmatch(self.name))

    @property
    def source(self) -> str:
        """The hub id, or the folder's own name: no path of this machine."""
        return Path(self.name).resolve().name if self.is_folder else self.name

    def announce(self) -> None:
        note(
            f"loading {self.name}"
            + ("" if self.is_folder else " from the Hugging Face hub; offline this takes half a minute")
        )

    def config(self) -> Any:
        """Raises as `read`."""
        return self.read(AutoConfig)

    def model(self, reader: Any, config: Any) -> Any:
        """The network, in evaluation mode. Raises as `read`, and InputError where weights are missing."""
        network, loading = self.read(reader, config=config, use_safetensors=True, output_loading_info=True)
        wrong = sorted(str(key) for part in ("missing_keys", "mismatched_keys") for key in loading[part])
        if wrong:  # transformers fills them with random numbers, and only warns
            raise InputError(
                f"{self.name} lacks {len(wrong)} of its weights, the first is {wrong[0]}.", "Download it again, whole."
            )
        return network.eval()

    def read(self, reader: Any, **options: Any) -> Any:
        """`reader.from_pretrained`, which runs no code that lies beside the weights, and does not ask whether it may.

        Raises UnreachableError where a hub id cannot be fetched, InputError where the folder does not hold it.
        """
        where = {"local_files_only": True} if self.is_folder else {}
        try:
            return reader.from_pretrained(self.name, trust_remote_code=False, **where, **options)
        except Exception as error:  # transformers passes on whatever its readers raise
            raise self._cannot_load(error) from error

    def _cannot_load(self, error: Exception) -> InputError | UnreachableError:
        reason = first_line(error)
        if self.is_folder:
            return InputError(
                f"{self.name} is no {self.noun} ({reason}).",
                f"The folder needs {self.files}, as save_pretrained writes; code in it is never run.",
            )
        place = f"teachers/{self.name.rsplit('/', 1)[-1]}"
        return UnreachableError(
            f"{self.name} cannot be fetched ({reason}).",
            f"Without a network, run `hf download {self.name} --local-dir {place}` elsewhere, copy the folder here and "
            f"pass it: {self.option} {place}{self.otherwise}.",
        )


def weights_sha256(state: dict[str, torch.Tensor]) -> str:
    """One hash over names, shapes, types and values, whatever the order and the file."""
    total = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        total.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        total.update(tensor.view(torch.uint8).numpy().tobytes() if tensor.ndim else str(tensor.item()).encode())
    return total.hexdigest()
