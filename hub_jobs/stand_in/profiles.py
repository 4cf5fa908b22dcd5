"""A profile of this CPU in the client's message. The client calls its number `estimated_inference_time`."""

from __future__ import annotations

from typing import Any

from qai_hub import public_api_pb2 as pb

MAJOR, MINOR = 1, 2  # from 1.2 on the client reads ranges of memory and the times of all iterations
STAGES = ("cold_load", "warm_load", "execution")


def profile_message(profile: dict[str, Any]) -> pb.ProfileDetail:
    """profile: microseconds and bytes, as `executing.measured` writes them; memory is None where unknown."""
    detail = pb.ProfileDetail(
        major_version=MAJOR,
        minor_version=MINOR,
        execution_time=profile["execution_time"],
        cold_load_time=profile["cold_load_time"],
        warm_load_time=profile["warm_load_time"],
        all_execution_times=profile["all_execution_times"],
        all_cold_load_times=[profile["cold_load_time"]],
        all_warm_load_times=[profile["warm_load_time"]],
    )
    for stage in STAGES:
        memory = profile[f"{stage}_memory"]
        if memory is None:
            continue
        setattr(detail, f"after_{stage}_peak_memory", memory["peak"])
        usage = getattr(detail, f"{stage}_memory")
        usage.increase.CopyFrom(pb.Range(lower=memory["increase"], upper=memory["increase"]))
        usage.peak.CopyFrom(pb.Range(lower=memory["peak"], upper=memory["peak"]))
    for layer in profile["layers"]:
        detail.layer_details.add(
            name=layer["name"],
            layer_type_name=layer["type"],
            compute_unit=pb.COMPUTE_UNIT_CPU,
            execution_time=layer["execution_time"],
            delegate_name="ONNX Runtime",
        )
    for name, version in profile["tools"].items():
        detail.tool_versions.add(name=name, version=version)
    return detail
