// Frames to the model's input on the CPU: 8-bit RGB and gray exactly as PIL, everything else as
// RefPreprocess within rounding. One pass over only the rows and columns that the target needs,
// split over the pool by frames and bands of rows.
//
// What a 1920x1080 frame costs for 224x224 (centre crop, bicubic; 1100 of the columns are needed):
// NV12 moves 1.8 MB of samples, 4.8 M multiply-adds of luma and 2.3 M of chroma down, 1.5 M across;
// RGB moves 3.6 MB, 14 M multiply-adds across and 2.9 M down. Both are bound by arithmetic and by
// the first access to memory, some tenths of a millisecond. A Zen 4 core takes 0.46 ms for NV12
// from memory, 0.36 from the cache, 0.29 and 0.22 of it down the rows: 8-bit samples are summed
// there as integers, in pairs (kernels/cpu/preprocess/pairs.inc), and the rows of the next block
// are prefetched meanwhile. HDR and BT.2020 also cost the tone mapping (shared/tone_map.h): some
// 190 instructions for each of 50 thousand target pixels.
// Rejected: converting the frame to RGB first (2 M pixels converted instead of 50 thousand, three
// planes resampled at luma's size), and 16-bit fixed point between the passes (not PIL's bytes).
//
// Ownership: borrows the pool. Owns plans and scratch and keeps them, so that a stream of frames of
// one geometry allocates only at the first.
// Thread safety: one Run at a time.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/preprocess/kernels.h"
#include "kernels/cpu/preprocess/plan.h"
#include "kernels/frame.h"

namespace cliptag {

class CpuPreprocessor {
 public:
  // Without a pool everything runs on the caller's thread.
  explicit CpuPreprocessor(
      ThreadPool* pool, const PreprocessKernels& kernels = PreprocessKernelsFor(DetectCpuLevel()));

  // out: (frames * patches, 3 * patch * patch) of f32 or bf16, as Backend::Preprocess says.
  Status Run(std::span<const FrameView> frames, const PreprocessSpec& spec, const Matrix& out);

 private:
  ThreadPool* pool_;
  const PreprocessKernels& kernels_;
  PreprocessPlanCache cache_;
  std::vector<std::shared_ptr<const PreprocessPlan>> plans_;  // of the running call's frames
  std::unique_ptr<Memory> scratch_;                           // a part per worker
};

}  // namespace cliptag
