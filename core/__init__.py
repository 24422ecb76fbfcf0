"""Yuan Lab: see what retrieval, prompting and LoRA fine-tuning each do to a small language model."""

import os

# Threads of one product wait for each other by spinning, and where two programs share the cores (the app and a training
# run, say) each spins away the time that the other needs: both get several times slower (benchmarks/sharing.py). So
# they spin briefly and then sleep. torch reads this once, when it is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
