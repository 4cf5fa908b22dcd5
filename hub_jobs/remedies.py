"""What AI Hub says when something fails, and what helps: messages that were really seen, each with its source.

A source is a public thread (owner/repo#n) in which the message stands, the installed client's own text (file and lines
of qai_hub 0.56.0), or what Qualcomm's offline compiler said when single operators were tried on it (MEASURED).
Patterns are matched anywhere in the message, in any case, in the table's order: what says more stands first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CLIENT = "qai_hub 0.56.0"
MEASURED = "tried on the offline HTP compiler, onnxruntime-qnn 2.7.0"


@dataclass(frozen=True)
class Remedy:
    """A known message. meaning, advice: a sentence each; pattern: a regular expression; source: where it was seen."""

    pattern: str
    meaning: str
    advice: str
    source: str

    def __str__(self) -> str:
        return f"{self.meaning} {self.advice} (known from {self.source})"


def remedy_for(message: str) -> Remedy | None:
    """The first entry whose pattern occurs in a failure's reason, an error's text or a log; None where none does."""
    unboxed = re.sub(r"[|\s]+", " ", message)  # the client draws boxes around sentences and breaks their lines
    return next((remedy for remedy in REMEDIES if re.search(remedy.pattern, unboxed, re.IGNORECASE)), None)


REMEDIES = (
    # What the compiler says of the model
    Remedy(
        r"truncate_64bit_io",
        "The model has 64-bit integers at its inputs or outputs.",
        "Compile with --options '--truncate_64bit_io', or cast them to int32 inside the model.",
        "qualcomm/ai-hub-models#68",
    ),
    Remedy(
        r"floating-point type which is not supported by the targeted device",
        "This device's NPU computes integers only (its attributes lack htp-supports-fp16:true).",
        "Choose a device with half precision, such as the Samsung Galaxy S24, or quantize the model with its inputs "
        "and outputs (--quantize_full_type int8 --quantize_io).",
        "qualcomm/ai-hub-models#281; the options: qualcomm/ai-hub-models#95",
    ),
    Remedy(
        r"No translation registered for op type",
        "Qualcomm's converter does not know the operator that the message names.",
        "Replace that operator in the model (a DynamicQuantizeLinear comes from dynamic quantization: quantize "
        "statically instead) and export again.",
        "microsoft/onnxruntime#25334",
    ),
    Remedy(
        r"memory usage too large|requires estimated allocation of",
        "The compiled graph would need more memory than the NPU can address (2 GiB).",
        "Make the input or the channels of the first and last layers smaller; large activations at full resolution "
        "are the usual cause.",
        "qualcomm/ai-hub-models#22, qualcomm/ai-hub-models#129",
    ),
    Remedy(
        r"greater than the TCM size|not sufficiently tiled to fit in TCM|TCM Migration action failed",
        "One operator's data does not fit the NPU's fast memory (some 8 MB).",
        "Find the operator in the message; run it at a smaller resolution, or split it (normalisation over whole "
        "images and slices at full size are the usual ones).",
        "pytorch/executorch#1430, microsoft/onnxruntime#24876",
    ),
    Remedy(
        r"GridSample.{0,40}could not create op",
        "The NPU's compiler cannot build this GridSample.",
        "Use Resize instead, or GridSample with bilinear interpolation (bicubic is always refused).",
        f"microsoft/onnxruntime#21800; bicubic: {MEASURED}",
    ),
    Remedy(
        r"does ?n[o']t support dynamic|Cannot get shape|dynamic (input )?(shape|dimension)s?",
        "The model has a dimension without a fixed size, and the NPU needs every size at compile time.",
        "Export with fixed sizes, as lpcv export does.",
        f"microsoft/onnxruntime#22439; {MEASURED}",
    ),
    Remedy(
        r"QNN_DEVICE_ERROR_INVALID_CONFIG",
        "The compiler does not know the chip that it was asked to compile for (soc_model).",
        "Choose another device: lpcv devices --json FILE writes each with its soc-model, where it has one.",
        MEASURED,
    ),
    Remedy(
        r"standalone DQ op with per-channel quantization",
        "The graph still holds a per-channel DequantizeLinear that belongs to no operator.",
        "Replace functional operations (such as F.interpolate) by modules before quantizing, then export again.",
        MEASURED,
    ),
    Remedy(
        r"QAIRT quantizer failed",
        "Qualcomm's quantizer stopped, and the reason stands in the job's compile log only.",
        "Read the log's last lines; check that every input has a fixed size and that the calibration data fits them, "
        "or quantize to ONNX (QDQ) yourself and compile that.",
        "qualcomm/ai-hub-models#312",
    ),
    Remedy(
        r"QAIRT converter failed|Internal compiler error|failed due to an internal error",
        "Qualcomm's converter stopped, and the message does not say on what.",
        "Read the compile log's last lines; run lpcv check on the model; try another --runtime or another "
        "--qairt_version in --options, then ask AI Hub's support with the job's address.",
        "qualcomm/ai-hub-models#231, qualcomm/ai-hub-models#223; --qairt_version: qualcomm/ai-hub-models#204",
    ),
    Remedy(
        r"qnn-model-lib-generator",
        "Compiling the network's C++ form failed; with an integer-only chip (QCS6490) its float operators are why.",
        "Compile for tflite or onnx instead, or quantize for an integer-only chip.",
        "qualcomm/ai-hub-models#95, qualcomm/ai-hub-models#64",
    ),
    # What the device says
    Remedy(
        r"QNN graph execute error|Error code: 60(01|31)",
        "The NPU accepted the graph and then could not run it; the message does not name the operator.",
        "Compile the same model with --runtime qnn_context_binary: that either works or names the operator.",
        "microsoft/onnxruntime#25335, microsoft/onnxruntime#25334",
    ),
    Remedy(
        r"Request feature arch with value \d+ unsupported",
        "The model was compiled for another NPU than the one that it runs on.",
        "Compile again for this very device: a context binary fits one chip.",
        "qualcomm/ai-hub-apps#63",
    ),
    Remedy(
        r"does not support shared weights",
        "Weights shared between graphs need an NPU of v73 or later.",
        "Choose a later device (Snapdragon 8 Gen 2 on), or compile one graph alone.",
        "qualcomm/ai-hub-apps#31",
    ),
    Remedy(
        r"Could not create context from binary|Create From Binary FAILED|create context from binary",
        "The device could not load the compiled binary: it was made for another chip or another version of QAIRT, or "
        "it does not fit the memory.",
        "Compile again for this device, with the --qairt_version that the device runs.",
        "qualcomm/ai-hub-apps#15, qualcomm/ai-hub-models#332",
    ),
    Remedy(
        r"finalize (the )?(QNN )?graph|Graph Finalize failure|error code: 1002",
        "The NPU's compiler gave up on the whole graph (error 1002); the reason stands only in its detailed log.",
        "Look for the first ERROR line in the job's log; it names the operator. Try a smaller input, or tflite.",
        "microsoft/onnxruntime#22369, microsoft/onnxruntime#24876",
    ),
    Remedy(
        r"Error uploading (artifact )?to QDC",
        "AI Hub could not exchange files with its phones: a fault of the service, not of the model or of your token.",
        "Run the same command again later, not at once; the compiled model is kept and only this job is repeated.",
        "qualcomm/ai-hub-models#78, qualcomm/ai-hub-models#302",
    ),
    Remedy(
        r"Job timed out after",
        "The job waited too long for a free device.",
        "Run the same command again; the uploaded model is used again. The (Family) of a phone has more devices.",
        "qualcomm/ai-hub-models#84",
    ),
    # What the service says to the client
    Remedy(
        r"Device\(.*\) is not available",
        "No device of that name, system version and attributes is there (any more).",
        "List what there is: lpcv devices. Names are exact, with '(Family)' or '(Proxy)' where they have it.",
        f"{CLIENT}, client.py:4381; names that went: qualcomm/ai-hub-models#189",
    ),
    Remedy(
        r"does not support (TFLite|ONNX|QNN|Core ML) model input",
        "The device cannot run models of this runtime.",
        "Compile with another --runtime; lpcv devices --json FILE writes the frameworks of each device.",
        f"{CLIENT}, client.py:4390 to 4405",
    ),
    Remedy(
        r"make sure this is not the target of a failed compile job",
        "There is no model: the compile job that should have made it failed.",
        "Look at that job first: lpcv jobs show ID.",
        f"{CLIENT}, client.py:1266",
    ),
    Remedy(
        r"must contain exactly one \.(onnx|encodings) file|can contain at most one|can only contain \.onnx",
        "The model's folder holds more than the one model that AI Hub takes.",
        "Keep NAME.onnx, with its .data and its .encodings if it has them, and nothing else.",
        f"qualcomm/aimet#3980; {CLIENT}, client.py:919 to 950",
    ),
    Remedy(
        r"Dataset \S+ is expired|Cannot download expired dataset",
        "AI Hub deletes datasets 30 days after their upload.",
        "Run the same command again: it uploads the frames anew. Outputs that were fetched are kept here.",
        f"{CLIENT}, client.py:552 and 4340",
    ),
    Remedy(
        r"Failed to authenticate|API authentication failure",
        "AI Hub did not accept the API token: it is wrong, or was replaced.",
        "Run lpcv doctor with the same --hub: it names the configuration that holds the token and the command that "
        "replaces it; the current one is on the Account page.",
        f"{CLIENT}, client.py:385 and public_rest_api.py:99",
    ),
    Remedy(
        r"Your API token is missing|Required fields are missing from|not found\. Please request access",
        "The configuration of the AI Hub client is missing or incomplete.",
        "Run lpcv doctor with the same --hub: it names the file and the command that writes it (qai-hub configure). To "
        "rehearse without an account: --hub local.",
        f"{CLIENT}, client.py:381 and api_utils.py:161",
    ),
    Remedy(
        r"could not be found\. It may not exist or you may not have permission",
        "AI Hub has no such job, model or dataset, or it belongs to somebody who did not share it.",
        "Check the id and which account's token is used: lpcv doctor.",
        f"{CLIENT}, api_utils.py:103",
    ),
    Remedy(
        r"Too Many Requests|Could not create a job after retrying",
        "AI Hub limits how many jobs an account may start in a while.",
        "Wait some minutes, then run the same command again: what was uploaded is used again.",
        f"{CLIENT}, public_rest_api.py:101 and client.py:3287",
    ),
    Remedy(
        r"uploaded asset is too large",
        "The file is larger than AI Hub takes.",
        "Send fewer frames at a time (lpcv infer --limit), or a smaller model.",
        f"{CLIENT}, public_rest_api.py:105",
    ),
    Remedy(
        r"version of the Hub client is no longer supported",
        "AI Hub has stopped serving this version of the client.",
        "Run: pip install --upgrade qai-hub",
        f"{CLIENT}, public_rest_api.py:107",
    ),
    Remedy(
        r"SSLError|EOF occurred in violation of protocol|Max retries exceeded|Connection (aborted|reset)",
        "The connection broke during a transfer.",
        "Run the same command again: what arrived whole is not sent twice. A network without a proxy that inspects "
        "traffic, or a smaller file, helps where it happens again.",
        "qualcomm/ai-hub-apps#22, qualcomm/ai-hub-models#173, qualcomm/ai-hub-models#76",
    ),
    Remedy(
        r"Could not connect to|Timeout occurred while communicating|A communication error occurred",
        "The server was not reached, or stopped answering.",
        "Check the network and the proxy settings (lpcv doctor), then run the same command again: it looks for the "
        "job that it may have submitted before it submits one.",
        f"{CLIENT}, client.py:3210 to 3229",
    ),
    Remedy(
        r"unavailable right now|reported errors",
        "AI Hub itself has a fault at the moment.",
        "Wait, then run the same command again; jobs that were submitted go on and are found again.",
        f"{CLIENT}, client.py:3197 and 3201",
    ),
)
