#include "kernels/cuda/preprocess/frame_staging.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/cuda/preprocess/rows.h"
#include "kernels/shared/needed_samples.h"
#include "kernels/shared/preprocess_check.h"

namespace cliptag::cuda {
namespace {

constexpr size_t kAlignment = 256;  // of planes and rows, for wide loads

size_t RoundUp(size_t value) { return (value + kAlignment - 1) / kAlignment * kAlignment; }

// The part of a set of rows that the kernel may read, see kernels/cuda/preprocess/rows.h.
struct ReadPart {
  int first_row = 0, rows = 0;
  ptrdiff_t first_byte = 0, end_byte = 0;  // of a row, from the set's begin
};

ReadPart PartOf(const FrameView& frame, const RowSet& set, const PreprocessSpec& spec) {
  ptrdiff_t first = std::numeric_limits<ptrdiff_t>::max(), end = 0;
  int first_row = std::numeric_limits<int>::max(), end_row = 0;
  for (int m = 0; m < set.members; ++m) {
    const int c = set.component[m];
    const Rect needed = NeededSamples(frame, c, spec);
    const ptrdiff_t stride = frame.component[c].pixel_stride;
    const ptrdiff_t start = AddressOf(frame.component[c]) - set.begin + needed.x * stride;
    first = std::min(first, start);
    end = std::max(end, start + (needed.width - 1) * stride + frame.bytes_per_sample);
    first_row = std::min(first_row, needed.y);
    end_row = std::max(end_row, needed.y + needed.height);
  }
  const ptrdiff_t group = RowGroupBytes(frame, set), row = RowBytes(frame, set);
  return {first_row, end_row - first_row, first / group * group,
          std::min((end + group - 1) / group * group, row)};
}

// Moves the addresses of a planned frame, which count from the slot's start, to the slot's memory.
void MoveTo(const void* slot, FrameView* view) {
  for (int i = 0; i < ComponentCount(*view); ++i) {
    const uint8_t*& data = view->component[i].data;
    data = reinterpret_cast<const uint8_t*>(reinterpret_cast<intptr_t>(slot) +
                                            reinterpret_cast<intptr_t>(data));
  }
}

// Calls use(stream) for each stream that writes frames in CUDA memory; once for neighbouring frames
// of the same stream.
template <typename Use>
Status ForProducers(std::span<const FrameView> frames, const Use& use) {
  void* last = nullptr;
  for (const FrameView& frame : frames) {
    if (frame.memory != FrameMemory::kCuda || frame.cuda_stream == nullptr ||
        frame.cuda_stream == last) {
      continue;
    }
    last = frame.cuda_stream;
    CLIPTAG_RETURN_IF_ERROR(use(static_cast<cudaStream_t>(last)));
  }
  return {};
}

}  // namespace

FrameView PlanStaging(const FrameView& frame, const PreprocessSpec& spec, size_t* offset,
                      std::vector<StagedPlane>* planes) {
  RowSet sets[3];
  const int count = RowSetsOf(frame, sets);
  FrameView staged = frame;
  staged.memory = FrameMemory::kCuda;
  for (int s = 0; s < count; ++s) {
    const RowSet& set = sets[s];
    const ReadPart part = PartOf(frame, set, spec);
    StagedPlane plane;
    plane.source_stride = frame.component[set.component[0]].row_stride;
    plane.source = reinterpret_cast<const uint8_t*>(
        set.begin + part.first_row * plane.source_stride + part.first_byte);
    plane.rows = part.rows;
    plane.row_bytes = static_cast<size_t>(part.end_byte - part.first_byte);
    plane.offset = RoundUp(*offset);
    plane.pitch = RoundUp(plane.row_bytes);
    *offset = plane.offset + plane.pitch * static_cast<size_t>(plane.rows);
    planes->push_back(plane);
    // Sample (0, 0) may be outside the copied part: its address is an origin and is never read. It
    // has the alignment of the plane, since groups are multiples of 16 bytes.
    const auto pitch = static_cast<ptrdiff_t>(plane.pitch);
    const ptrdiff_t begin =
        static_cast<ptrdiff_t>(plane.offset) - part.first_row * pitch - part.first_byte;
    for (int m = 0; m < set.members; ++m) {
      Component& component = staged.component[set.component[m]];
      component.data = reinterpret_cast<const uint8_t*>(begin + (AddressOf(component) - set.begin));
      component.row_stride = pitch;
    }
  }
  return staged;
}

Result<std::unique_ptr<FrameStaging>> FrameStaging::Create(cudaStream_t compute) {
  std::unique_ptr<FrameStaging> staging(new FrameStaging(compute));
  CLIPTAG_ASSIGN_OR_RETURN(staging->copies_, Stream::Create());
  CLIPTAG_ASSIGN_OR_RETURN(staging->produced_, Event::Create());
  for (Slot& slot : staging->slots_) {
    CLIPTAG_ASSIGN_OR_RETURN(slot.copied, Event::Create());
    CLIPTAG_ASSIGN_OR_RETURN(slot.read, Event::Create());
  }
  return staging;
}

FrameStaging::~FrameStaging() {
  for (const Slot& slot : slots_) {
    (void)slot.copied.Await();
    (void)slot.read.Await();
  }
}

Status FrameStaging::Reserve(Slot& slot, std::span<const FrameView> frames,
                             const PreprocessSpec& spec) {
  size_t bytes = 0;
  views_.clear();
  planes_.clear();
  first_plane_.clear();
  first_byte_.clear();
  for (const FrameView& frame : frames) {
    first_plane_.push_back(planes_.size());
    first_byte_.push_back(bytes);
    views_.push_back(
        frame.memory == FrameMemory::kCuda ? frame : PlanStaging(frame, spec, &bytes, &planes_));
  }
  first_plane_.push_back(planes_.size());
  first_byte_.push_back(bytes);
  if (!slot.device || slot.device->bytes() < bytes) CLIPTAG_RETURN_IF_ERROR(slot.read.Await());
  CLIPTAG_RETURN_IF_ERROR(Grow(slot.device, std::max(bytes, kAlignment)));
  CLIPTAG_RETURN_IF_ERROR(Grow(slot.pinned, std::max(bytes, kAlignment)));
  for (size_t i = 0; i < frames.size(); ++i) {
    if (frames[i].memory == FrameMemory::kHost) MoveTo(slot.device->data(), &views_[i]);
  }
  return {};
}

Status FrameStaging::CopyFrames(Slot& slot) {
  for (size_t frame = 0; frame < views_.size(); ++frame) {
    const size_t begin = first_byte_[frame], bytes = first_byte_[frame + 1] - begin;
    if (bytes == 0) continue;
    for (size_t p = first_plane_[frame]; p < first_plane_[frame + 1]; ++p) {
      const StagedPlane& plane = planes_[p];
      std::byte* to = slot.pinned->data() + plane.offset;
      for (int row = 0; row < plane.rows; ++row) {
        std::memcpy(to + row * plane.pitch, plane.source + row * plane.source_stride,
                    plane.row_bytes);
      }
    }
    CLIPTAG_RETURN_IF_CUDA_ERROR(
        cudaMemcpyAsync(static_cast<std::byte*>(slot.device->data()) + begin,
                        slot.pinned->data() + begin, bytes, cudaMemcpyHostToDevice, copies_.get()),
        "a frame was copied to it");
  }
  return {};
}

Status FrameStaging::CopyTable(Slot& slot) {
  const std::span<const std::byte> table = slot.plan.table();
  if (!slot.device_table || slot.device_table->bytes() < table.size()) {
    CLIPTAG_RETURN_IF_ERROR(slot.read.Await());
  }
  CLIPTAG_RETURN_IF_ERROR(Grow(slot.device_table, table.size()));
  CLIPTAG_RETURN_IF_ERROR(Grow(slot.pinned_table, table.size()));
  std::memcpy(slot.pinned_table->data(), table.data(), table.size());
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaMemcpyAsync(slot.device_table->data(), slot.pinned_table->data(),
                                               table.size(), cudaMemcpyHostToDevice, copies_.get()),
                               "filter weights were copied to it");
  return {};
}

Result<FrameStaging::Batch> FrameStaging::Stage(std::span<const FrameView> frames,
                                                const PreprocessSpec& spec) {
  current_ = 1 - current_;
  Slot& slot = slots_[current_];
  CLIPTAG_RETURN_IF_ERROR(slot.copied.Await());
  CLIPTAG_RETURN_IF_ERROR(Reserve(slot, frames, spec));
  CLIPTAG_RETURN_IF_ERROR(slot.plan.Build(views_, spec));
  CLIPTAG_RETURN_IF_ERROR(slot.read.Await(copies_.get()));
  CLIPTAG_RETURN_IF_ERROR(CopyTable(slot));
  CLIPTAG_RETURN_IF_ERROR(CopyFrames(slot));
  CLIPTAG_RETURN_IF_ERROR(slot.copied.Record(copies_.get()));
  CLIPTAG_RETURN_IF_ERROR(slot.copied.Await(compute_));
  CLIPTAG_RETURN_IF_ERROR(ForProducers(frames, [&](cudaStream_t producer) {
    const Status status = produced_.Record(producer);
    return status.ok() ? produced_.Await(compute_) : status;
  }));
  return Batch{&slot.plan, slot.device_table->data()};
}

Status FrameStaging::Done(std::span<const FrameView> frames) {
  Event& read = slots_[current_].read;
  CLIPTAG_RETURN_IF_ERROR(read.Record(compute_));
  return ForProducers(frames, [&](cudaStream_t producer) { return read.Await(producer); });
}

}  // namespace cliptag::cuda
