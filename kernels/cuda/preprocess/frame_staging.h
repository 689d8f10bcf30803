// Copies frames from host memory to the device: the needed samples go to pinned memory, frame by
// frame, and from there to the GPU on a stream of their own. So the upload of one frame overlaps
// the copy of the next one to pinned memory and, with two slots, the computation of the previous
// batch. Frames in CUDA memory are read in place.
//
// Ownership: borrows the compute stream. Borrows frames until Stage returns, those in CUDA memory
// until the work queued after it is done. Thread safety: used by one thread at a time.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/device/runtime.h"
#include "kernels/cuda/preprocess/plan.h"

namespace cliptag::cuda {

// One copy: exactly the part of a set of rows that the kernel may read
// (kernels/cuda/preprocess/rows.h).
struct StagedPlane {
  const uint8_t* source = nullptr;
  ptrdiff_t source_stride = 0;
  int rows = 0;
  size_t row_bytes = 0;
  size_t offset = 0, pitch = 0;  // in the slot
};

// Appends to `planes` where the planes of one frame go, from `offset` on at multiples of 256; with
// a slot of that alignment the kernel reads 16 bytes at a time, whatever the frame. Returns the
// frame as it will be in the slot, with addresses that count from the slot's start, and moves
// `offset` to its end. Uses nothing of CUDA.
FrameView PlanStaging(const FrameView& frame, const PreprocessSpec& spec, size_t* offset,
                      std::vector<StagedPlane>* planes);

class FrameStaging {
 public:
  static Result<std::unique_ptr<FrameStaging>> Create(cudaStream_t compute);
  ~FrameStaging();

  struct Batch {
    const PreprocessPlan* plan = nullptr;
    const void* table = nullptr;  // of the plan, on the device
  };
  // Makes the compute stream wait for the copies: work queued after this may read the batch.
  Result<Batch> Stage(std::span<const FrameView> frames, const PreprocessSpec& spec);
  // To be called when the work that reads the batch is queued: its memory is reused after that
  // work.
  Status Done(std::span<const FrameView> frames);

 private:
  struct Slot {
    std::unique_ptr<PinnedMemory> pinned, pinned_table;
    std::unique_ptr<DeviceMemory> device, device_table;
    PreprocessPlan plan;
    Event copied;  // the pinned memory may be written again
    Event read;    // the device memory may be written again
  };

  explicit FrameStaging(cudaStream_t compute) : compute_(compute) {}
  Status Reserve(Slot& slot, std::span<const FrameView> frames, const PreprocessSpec& spec);
  Status CopyFrames(Slot& slot);
  Status CopyTable(Slot& slot);

  cudaStream_t compute_;
  Stream copies_;
  Event produced_;
  Slot slots_[2];
  int current_ = 0;
  std::vector<FrameView> views_;     // the batch's frames as the kernel sees them
  std::vector<StagedPlane> planes_;  // of all its frames
  std::vector<size_t> first_plane_;  // of each frame, and the end
  std::vector<size_t> first_byte_;   // likewise
};

}  // namespace cliptag::cuda
