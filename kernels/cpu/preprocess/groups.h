// Which components of a frame are interleaved in memory. So packed RGB and semi-planar chroma are
// read once, not once per component.
//
// Ownership: borrows the frame's pixels. Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/preprocess/plan.h"
#include "kernels/frame.h"

namespace cliptag {

struct Group {
  const uint8_t* base = nullptr;  // sample (0, 0) of the first component in memory
  ptrdiff_t row_stride = 0;
  int pixel_stride = 0, last_offset = 0;  // bytes
  int table = 0;
  int members = 0;
  int component[3] = {}, offset[3] = {};  // offset from base in bytes
};

struct Groups {
  int count = 0;
  Group group[3];
};

Groups GroupsOf(const FrameView& view, const PreprocessPlan& plan);

// Bytes from the first component of the first sample to the end of the last component of the last.
inline int64_t SpanBytes(const Group& group, int samples, int sample_bytes) {
  return static_cast<int64_t>(samples - 1) * group.pixel_stride + group.last_offset + sample_bytes;
}

}  // namespace cliptag
