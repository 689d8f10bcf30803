// One task of CPU preprocessing: a band of one frame's target, from stored samples to patches.
//
// 8-bit RGB and gray go the exact way, as PIL: along upright rows first, rounded to bytes, then
// down. Where the stored picture lies on its side that is down the stored rows first. Everything
// else is linear until its one clamp, so it always goes down the stored rows first: that reads
// memory as it lies and leaves 16 target rows to the pass across. No band computes what another
// does, but for the rows that two bands of an upright 8-bit picture share.
//
// Ownership: borrows all it is given. Thread safety: bands of a frame write different pixels and
// may run at the same time, each with its own scratch. Nothing is allocated.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/backend.h"
#include "kernels/cpu/preprocess/kernels.h"
#include "kernels/cpu/preprocess/plan.h"
#include "kernels/frame.h"

namespace cliptag {

struct BandJob {
  const FrameView* view = nullptr;
  const PreprocessPlan* plan = nullptr;
  const PreprocessSpec* spec = nullptr;
  const PreprocessKernels* kernels = nullptr;
  Matrix out;                  // the frame's patches, f32 or bf16
  int begin = 0, end = 0;      // target pixels along the axis down the stored rows, of 0..used
  uint8_t* scratch = nullptr;  // BandScratchBytes, 64-byte aligned
};

size_t BandScratchBytes(const FrameView& view, const PreprocessPlan& plan);
void RunBand(const BandJob& job);

}  // namespace cliptag
