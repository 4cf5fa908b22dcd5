"""The four steps of the organisers' guide (lpcvai/25LPCVC_AIHub_Guide) as one plain script on the client alone.

Usage: organisers_guide.py MODEL.pt FRAMES.h5; prints one line of JSON. Knows nothing of lpcv or of a stand-in.
"""

import json
import sys

import qai_hub

model_file, frames_file = sys.argv[1:]
device = qai_hub.Device("Samsung Galaxy S24 (Family)")

# 1. compile, share, rename
model = qai_hub.upload_model(model_file)
compile_job = qai_hub.submit_compile_job(
    model=model, device=device, input_specs={"image": (1, 3, 480, 640)}, options="--target_runtime tflite"
)
compile_job.modify_sharing(add_emails=["lowpowervision@gmail.com"])
compile_job.set_name(f"{model.model_id}_LPCVC25")
compiled = qai_hub.get_job(compile_job.job_id).get_target_model()  # type: ignore[union-attr]

# 2. upload a dataset
dataset = qai_hub.upload_dataset(frames_file)

# 3. run it on the device
inference_job = qai_hub.submit_inference_job(
    model=compiled, device=device, inputs=dataset, options="--max_profiler_iterations 1"
)
outputs = inference_job.download_output_data()["output_0"]  # type: ignore[index]

# 4. profile it; the guide asks for the newest summary
profile_job = qai_hub.submit_profile_job(model=compiled, device=device, options="--max_profiler_iterations 20")
finished = profile_job.wait().success
newest = qai_hub.get_job_summaries(limit=1, offset=0)[0]
summary = profile_job.download_profile()["execution_summary"]

told = {
    "compile_job": compile_job.job_id,
    "name": qai_hub.get_job(compile_job.job_id).name,
    "shared_with": list(compile_job.get_sharing()),
    "outputs": [[list(output.shape), str(output.dtype), float(output.mean())] for output in outputs],
    "profiled": finished and newest.job_id == profile_job.job_id and newest.status.finished,
    "inference_time_us": summary["estimated_inference_time"],
    "iterations": len(summary["all_inference_times"]),
}
print("\n" + json.dumps(told))
