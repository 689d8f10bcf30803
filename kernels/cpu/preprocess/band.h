// One task of CPU preprocessing: a band of one frame's target, from stored samples to patches.
//
// 8-bit RGB and gray are exact, as PIL: first the pass along upright rows, rounded to bytes, then
// the pass down. In a picture rotated by 90 or 270 degrees the first pass goes down the stored
// rows. All other formats are linear until the one clamp at the end, so they always go down the
// stored rows first: this reads memory in its order, and leaves 16 target rows for the pass across.
// Bands do not repeat each other's work, except for rows that two bands of an upright 8-bit picture
// share.
//
// Ownership: borrows its arguments. Thread safety: bands of a frame write different pixels and may
// run at the same time, each with its own scratch. Allocates nothing.
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
