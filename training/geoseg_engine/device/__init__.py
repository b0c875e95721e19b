"""One notion of a device: CUDA, ROCm, MPS, XPU or CPU, what each offers, and the proof that it works.

This is the only room that calls `torch.cuda`, `torch.mps`, `torch.xpu` or `torch.accelerator`; a test holds that.
"""
