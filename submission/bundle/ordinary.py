"""Names of users and machines that are ordinary words: to remove those everywhere would spoil the records.

A person may be called "max", "adam" or "mit"; so are a function, an optimiser and a licence.
"""

from __future__ import annotations

import json
import re
from functools import cache

from ...contract import CURRENT as CONTRACT
from ...evaluate.official import OFFICIAL

SHARED_WORDS = """
root user users admin administrator ubuntu debian runner docker nobody guest home localhost localdomain local default
server desktop laptop workstation computer host
"""
SHARED = frozenset(SHARED_WORDS.split())
"""What half of all machines and users are called, which gives nobody away."""

OUR_WORDS = """
absent accepted account affine amp answer answers anything apache api aspp auto batch batchnorm bca before bicubic
bilinear bn bootstrap bsd bundle by bytes cc challenge check checkpoint clause clean client clip cm colour columns
commercial commit compare compile component computed confidence config configuration contract cosine count cpu cuda
cut data dataset datasets decay decides decimals decisions decoder demo described despite device digits dilated dinov2
dir dirty distillation dpt edition efficientnet emulated encoder environment every export fast file files finished
first float floor focus formulas frozen git given gpl gpu gradient grid group groups hashes hf huber id imagenet
indoor infer input inputs interval invariant isc jitter job jobs jpg json key kind l1 label labels large last
latencies learning left lgpl licence licences license linear log loss lpcv lr machine made maker manifest marked
measure measured member method mini mirror mit mixed mobilenet mobilenetv2 mobilenetv3 model momentum ms name nc nd
network noise norm normal note npy onnx onnxruntime optim options outdoor own package packaged parts paths person
phone picture pictures png power precision predictions probe probes profile protocol provenance python qairt qat
quantize random rate raw readme ready reason recipe record reduced rehearsal report resamples resnet resolved rhythm
rows sa says scene scenes schedule scored scores seed sha sha256 share signed small soc sources start state step steps
stopped stripes strong student submission submitted success synthetic teacher tflite thread tiny told tolerance tool
torch torchvision train trained training transform tune txt type uniform unknown unsettled v2 v3 validate validation
variance verify version versions vision vit warmup warning weight weights went whole why wide work workers working
zero zip zoo
"""  # of recipes, licences and records, besides those of contract and protocol

ENGLISH = """
a about after all also am an and any are as at be but by can did do else for from get go had has have he her here him
his how i if in into is it its just may me more most my new no none nor not now of off on one only or other our out
over own she so some than that the their them then there these they this those to too under until up us use was we
were what when where which while who will with would you
"""


def is_ordinary(name: str) -> bool:
    """Whether records hold this word, or half of all machines this name, whoever made them; so is a single letter."""
    return len(name) < 2 or name.lower() in _ordinary()


@cache
def _ordinary() -> frozenset[str]:
    told = json.dumps([CONTRACT.as_json(), dict(OFFICIAL.described())])
    texts = " ".join([told.lower(), *OFFICIAL.metrics, OUR_WORDS, ENGLISH])
    return SHARED | frozenset(re.findall(r"[a-z0-9]+", texts)) | frozenset(OFFICIAL.metrics)
