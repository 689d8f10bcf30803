// What changed in GstCudaMemory with GStreamer 1.24: cuda_frames_1_22.cc or cuda_frames_1_24.cc.
#pragma once

#include <gst/cuda/gstcudamemory.h>

namespace cliptag {

// The formats that the library allocates.
extern const char kCudaFormats[];

// The CUDA stream whose work fills the memory, which has been mapped; null: it is filled.
void* CudaStreamOf(GstCudaMemory* memory);

}  // namespace cliptag
