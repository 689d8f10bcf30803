// Which memory caps name: ordinary memory, CUDA memory, or one that has to be fetched first.
//
// Thread safety: pure functions.
#pragma once

#include <gst/gst.h>

#include <string>

namespace cliptag {

bool IsInCudaMemory(const GstCaps* caps);  // their first structure
// Takes CUDA memory out of the result of a caps query.
void RemoveCudaMemory(GstQuery* query);
// The memory that frames of these caps lie in, as caps name it, if it cannot be read here; else "".
std::string UnreadableMemory(const GstCaps* caps, bool takes_cuda);

}  // namespace cliptag
