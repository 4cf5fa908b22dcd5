"""Known messages get their remedy, each from a source; unknown ones get none."""

from __future__ import annotations

import re

import pytest
from lpcv.hub_jobs.remedies import REMEDIES, remedy_for

# Messages as they stand in the cited threads and as the client writes them -> a word of the remedy that must be found.
SEEN = {
    "Must use --truncate_64bit_io when input tensors have type int64.": "truncate_64bit_io",
    "Tensor 'input_features' has a floating-point type which is not supported by the targeted device. Please quantize "
    "the model including its I/O and try again.": "integers only",
    "ERROR - Node image_QuantizeLinear: 'No translation registered for op type onnx_dynamicquantizelinear.'": "dynamic",
    "fa_alloc.cc:3866:ERROR:graph requires estimated allocation of 2347229 KB, limit is 2097152 KB": "2 GiB",
    "graph_prepare.cc:742:ERROR:error during serialize: memory usage too large": "2 GiB",
    "Requires 0x2400000 bytes of TCM, which is greater than the TCM size of 0x800000!": "fast memory",
    "Operator named q::*InputSlicePad (0x16) not sufficiently tiled to fit in TCM. Requires 12441600 bytes": "fast",
    '<E> "GridSample" generated: could not create op': "bilinear",
    "QNN NPU doesn't support dynamic shape": "fixed",
    "Cannot get shape": "fixed",
    "QNN_DEVICE_ERROR_INVALID_CONFIG": "soc_model",
    "standalone DQ op with per-channel quantization": "F.interpolate",
    "QAIRT quantizer failed with exit code 1": "calibration",
    "QAIRT converter failed with exit code 1": "--qairt_version",
    "Model compile failed due to an internal error.": "--qairt_version",
    "qnn-model-lib-generator: stderr : jni/tmp23ncqrsx.cpp:38:51: warning: mixture of designated": "tflite",
    "Failed to profile the model: Non-zero status code returned while running QNN_71_5 node. Status Message: QNN graph "
    "execute error. Error code: 6001": "qnn_context_binary",
    "QnnDsp <E> Request feature arch with value 79 unsupported": "another NPU",
    'Link job failed: device "does not support shared weights"': "v73",
    '[ERROR] "Could not create context from binary for context index = 0 : err 5005"': "QAIRT",
    "Failed to finalize QNN graph. Error code: 1002 at location qnn_model.cc:167 FinalizeGraphs": "first ERROR line",
    "Error uploading to QDC: status code=500": "fault of the service",
    'Error uploading artifact to QDC. Response code=403: {"errorMessage": "Invalid Credentials"}': "your token",
    "Job timed out after 8h": "free device",
    "Device(name='Samsung Galaxy S99', os='', attributes=[]) is not available.": "lpcv devices",
    "device Device(name='x', os='11', attributes=['framework:onnx']) does not support TFLite model input": "--runtime",
    "Model passed in was 'None' (make sure this is not the target of a failed compile job)": "lpcv jobs show",
    "AIMET model directory 'mydir.aimet' must contain exactly one .encodings file.": "nothing else",
    "Dataset d0abc is expired.": "30 days",
    "Failed to authenticate.": "API token",
    "Required fields are missing from your /home/a/.qai_hub/client.ini.": "configure",
    "/home/a/.qai_hub/client.ini not found. Please request access at the sign-up page.": "configure",
    "Job ID 'jabc' could not be found. It may not exist or you may not have permission to view it.": "lpcv doctor",
    "Could not create a job after retrying for 10 minutes. Please try again later.": "minutes",
    "The uploaded asset is too large. Please contact us for workarounds.": "--limit",
    "This version of the Hub client is no longer supported.": "--upgrade",
    "Caused by SSLError(SSLEOFError(8, 'EOF occurred in violation of protocol (_ssl.c:2426)'))": "transfer",
    "Internal API failure.\nCould not connect to Qualcomm AI Hub.": "lpcv doctor",
    "Internal API failure.\nQualcomm AI Hub is unavailable right now.": "fault at the moment",
}


@pytest.mark.parametrize(("message", "word"), SEEN.items(), ids=[message[:40] for message in SEEN])
def test_a_message_that_was_seen_gets_its_remedy(message: str, word: str) -> None:
    found = remedy_for(message)
    assert found is not None
    assert word in str(found)
    assert remedy_for(f"2025-08-05 07:57:16 | log before\n{message.upper()}\nlog after") == found


def test_every_entry_is_reached_by_a_message_that_was_seen() -> None:
    assert {remedy_for(message) for message in SEEN} == set(REMEDIES)


def test_a_sentence_that_the_client_broke_over_its_boxs_lines_is_known() -> None:
    box = "┌────┐\n| Failed to        |\n| authenticate. Go |\n└────┘"
    found = remedy_for(box)
    assert found is not None
    assert "API token" in found.meaning


@pytest.mark.parametrize(
    "message",
    ["", "Something else went wrong.", "The lamp is not available today.", "job succeeded", "exit code 137"],
)
def test_an_unknown_message_gets_none(message: str) -> None:
    assert remedy_for(message) is None


@pytest.mark.parametrize("remedy", REMEDIES, ids=lambda remedy: remedy.pattern[:40])
def test_every_entry_is_sentences_with_a_source(remedy) -> None:
    assert re.search(r"[\w-]+/[\w-]+#\d+|\w+\.py:\d+|onnxruntime-qnn", remedy.source)
    assert remedy.meaning.endswith(".")
    assert remedy.advice[0].isupper()
    re.compile(remedy.pattern)
