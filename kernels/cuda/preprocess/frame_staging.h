// Brings frames from ordinary memory to the device: the samples that are needed are copied into
// pinned memory, frame by frame, and from there by the card on a stream of its own, so that the
// copy of one frame overlaps the next one's way into pinned memory and, with two slots, whatever
// the card still computes for the batch before. Frames that lie in CUDA memory are read where they
// are.
//
// Ownership: borrows the compute stream; frames are borrowed until Stage returns, those in CUDA
// memory until the work queued after it is done. Thread safety: used by one thread at a time.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/device/runtime.h"
#include "kernels/cuda/preprocess/plan.h"

namespace cliptag::cuda {

// One copy: of a set of rows (kernels/cuda/preprocess/rows.h) all that the kernel may read, and
// nothing else.
struct StagedPlane {
  const uint8_t* source = nullptr;
  ptrdiff_t source_stride = 0;
  int rows = 0;
  size_t row_bytes = 0;
  size_t offset = 0, pitch = 0;  // in the slot
};

// Where the planes of one frame go, from `offset` on at multiples of 256: appended to `planes`.
// Where the slot is as aligned, the kernel reads 16 bytes at a time, whatever the frame. Returns
// the frame as it will lie in the slot, its addresses counted from the slot's start, and moves
// `offset` behind it. Host code alone.
FrameView PlanStaging(const FrameView& frame, const PreprocessSpec& spec, size_t* offset,
                      std::vector<StagedPlane>* planes);

class FrameStaging {
 public:
  static Result<std::unique_ptr<FrameStaging>> Create(cudaStream_t compute);
  ~FrameStaging();

  // What the compute stream may work on as soon as this returns.
  struct Batch {
    const PreprocessPlan* plan = nullptr;
    const void* table = nullptr;  // of the plan, on the device
  };
  Result<Batch> Stage(std::span<const FrameView> frames, const PreprocessSpec& spec);
  // Called when the work that reads the batch has been queued: its memory is not reused before.
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
  std::vector<FrameView> views_;     // of the batch, as the kernel sees them
  std::vector<StagedPlane> planes_;  // of all its frames
  std::vector<size_t> first_plane_;  // of each frame, and the end
  std::vector<size_t> first_byte_;   // likewise
};

}  // namespace cliptag::cuda
