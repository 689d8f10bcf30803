// Before 1.24 memory knows no stream: whoever fills it waits until that is done before it hands the
// buffer on.
#include "plugin/elements/cuda/cuda_memory.h"

namespace cliptag {

const char kCudaFormats[] =
    "{ I420, YV12, NV12, NV21, P010_10LE, P016_LE, I420_10LE, Y444, Y444_16LE, Y42B, I422_10LE, "
    "I422_12LE, RGBA, BGRA, RGBx, BGRx, ARGB, ABGR, RGB, BGR, RGBP, BGRP, GBR, GBRA, YUY2, UYVY }";

void* CudaStreamOf(GstCudaMemory*) { return nullptr; }

}  // namespace cliptag
