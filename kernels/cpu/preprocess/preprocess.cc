#include "kernels/cpu/preprocess/preprocess.h"

#include <algorithm>
#include <new>

#include "kernels/base/concat.h"
#include "kernels/cpu/preprocess/band.h"
#include "kernels/host_memory.h"
#include "kernels/shared/preprocess_check.h"

namespace cliptag {
namespace {

// The number of bands of each frame: one if the workers can share whole frames evenly, else so many
// that they finish together. A band has at least a block of target rows.
int BandsPerFrame(int frames, int workers, int used) {
  if (frames % workers == 0) return 1;
  const int wanted = (2 * workers + frames - 1) / frames;
  return std::clamp(wanted, 1, std::max(1, used / kBlock));
}

}  // namespace

CpuPreprocessor::CpuPreprocessor(ThreadPool* pool, const PreprocessKernels& kernels)
    : pool_(pool), kernels_(kernels) {}

Status CpuPreprocessor::Run(std::span<const FrameView> frames, const PreprocessSpec& spec,
                            const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckFrames(frames, spec, out));
  if (out.type != DType::kF32 && out.type != DType::kBF16) {
    return InvalidArgument("Preprocess on the CPU writes only f32 or bf16");
  }
  if (frames.empty()) return {};

  size_t scratch_bytes = 0;  // of one worker
  try {
    plans_.resize(frames.size());
    for (size_t i = 0; i < frames.size(); ++i) {
      plans_[i] = cache_.Find(frames[i], spec);
      scratch_bytes = std::max(scratch_bytes, BandScratchBytes(frames[i], *plans_[i]));
    }
  } catch (const std::bad_alloc&) {
    return ResourceExhausted(
        Concat("not enough memory for the filter tables of ", frames.size(), " frames"));
  }
  const int workers = pool_ == nullptr ? 1 : pool_->size();
  CLIPTAG_RETURN_IF_ERROR(GrowHost(&scratch_, scratch_bytes * workers));

  const int used = plans_[0]->used;
  const int bands = BandsPerFrame(static_cast<int>(frames.size()), workers, used);
  const int64_t patches = out.rows / static_cast<int64_t>(frames.size());
  auto* scratch = static_cast<uint8_t*>(scratch_->data());
  const auto task = [&](int index, int worker) {
    const int frame = index / bands, band = index % bands;
    BandJob job;
    job.view = &frames[frame];
    job.plan = plans_[frame].get();
    job.spec = &spec;
    job.kernels = &kernels_;
    job.out = out.Rows(frame * patches, patches);
    job.begin = static_cast<int>(static_cast<int64_t>(used) * band / bands);
    job.end = static_cast<int>(static_cast<int64_t>(used) * (band + 1) / bands);
    job.scratch = scratch + scratch_bytes * worker;
    RunBand(job);
  };
  const int tasks = static_cast<int>(frames.size()) * bands;
  if (pool_ != nullptr) {
    pool_->Run(tasks, task);
  } else {
    for (int i = 0; i < tasks; ++i) task(i, 0);
  }
  return {};
}

}  // namespace cliptag
