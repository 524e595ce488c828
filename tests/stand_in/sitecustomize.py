"""Read by every Python that has this folder on its path, before anything else: where it is asked for, GPUs stand in."""

import os

if os.environ.get("GPU_STAND_IN"):
    import gpu_stand_in

    gpu_stand_in.install()
