// From 1.24 on memory may be handed on while a stream still fills it. Whoever reads it waits for
// that stream, on the host or in a stream of its own, unless someone has (the flag is gone then).
#include <gst/cuda/gstcudastream.h>

#include "plugin/elements/cuda/cuda_memory.h"

namespace cliptag {

const char kCudaFormats[] =
    "{ I420, YV12, NV12, NV21, P010_10LE, P012_LE, P016_LE, I420_10LE, I420_12LE, Y444, Y444_10LE, "
    "Y444_12LE, Y444_16LE, Y42B, I422_10LE, I422_12LE, RGBA, BGRA, RGBx, BGRx, ARGB, ABGR, RGB, "
    "BGR, RGBP, BGRP, GBR, GBR_10LE, GBR_12LE, GBR_16LE, GBRA, YUY2, UYVY, VUYA }";

void* CudaStreamOf(GstCudaMemory* memory) {
  if (!GST_MEMORY_FLAG_IS_SET(memory, GST_CUDA_MEMORY_TRANSFER_NEED_SYNC)) return nullptr;
  GstCudaStream* stream = gst_cuda_memory_get_stream(memory);
  return stream != nullptr ? gst_cuda_stream_get_handle(stream) : nullptr;
}

}  // namespace cliptag
