// One launch for a whole batch of frames, whatever their formats and sizes.
//
// Thread safety: pure functions.
#pragma once

#include "kernels/cuda/device/launch.h"
#include "kernels/cuda/preprocess/plan.h"
#include "kernels/cuda/preprocess/preprocess.cuh"

namespace cliptag::cuda {

inline constexpr size_t kPreprocessRings = size_t{kPreprocessWarps} * kRingBytes;
static_assert(kTapsSharedBytes <= kPreprocessRings);
static_assert(kPreprocessRings + kMaxFragmentBytes <= kMaxSharedBytes);

// device_table: a copy of plan.table(). out: (frames * patches, 3 * patch * patch) as in
// Backend::Preprocess, with rows out_stride elements apart. Without frames nothing is launched.
template <typename T, typename Launch>
void LaunchPreprocess(const PreprocessPlan& plan, const void* device_table, T* out,
                      int64_t out_stride, Launch&& launch) {
  if (plan.frames() == 0) return;
  const PreprocessSpec& spec = plan.spec();
  PreprocessParams<T> p;
  p.table = static_cast<const unsigned char*>(device_table);
  p.out = out;
  p.out_stride = out_stride;
  p.frames = plan.frames();
  p.frame_blocks = plan.frame_blocks();
  p.patch = spec.patch;
  p.grid = spec.size / spec.patch;
  p.used = p.grid * p.patch;
  p.patch_inverse = PatchInverse(spec.patch);
  p.pairs = reinterpret_cast<uintptr_t>(out) % 4 == 0 && out_stride % 2 == 0 && p.patch % 2 == 0;
  p.fragment_bytes = static_cast<int>(plan.fragment_bytes());
  for (int c = 0; c < 3; ++c) {
    p.scale[c] = static_cast<float>(1.0 / spec.std[c]);
    p.bias[c] = static_cast<float>(-static_cast<double>(spec.mean[c]) / spec.std[c]);
    p.bar[c] = static_cast<float>((static_cast<double>(spec.fill[c]) - spec.mean[c]) / spec.std[c]);
  }
  launch(plan.tone_map() ? PreprocessKernel<T, true> : PreprocessKernel<T, false>,
         LaunchShape{plan.blocks(), 1, 1, kPreprocessThreads,
                     plan.fragment_bytes() + kPreprocessRings},
         p);
}

}  // namespace cliptag::cuda
