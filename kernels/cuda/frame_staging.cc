#include "kernels/cuda/frame_staging.h"

#include <algorithm>
#include <cstring>

#include "kernels/shared/needed_samples.h"
#include "kernels/shared/preprocess_check.h"

namespace cliptag::cuda {
namespace {

constexpr size_t kAlignment = 256;  // of planes and rows: what wide loads like

size_t RoundUp(size_t value) { return (value + kAlignment - 1) / kAlignment * kAlignment; }

// The bytes of one component that are needed: `rows` of them from `low` on.
struct ComponentBytes {
  const uint8_t* low = nullptr;
  size_t row_bytes = 0;
  Rect needed;
};

ComponentBytes BytesOf(const FrameView& frame, int index, const PreprocessSpec& spec) {
  const Component& c = frame.component[index];
  ComponentBytes bytes;
  bytes.needed = NeededSamples(frame, index, spec);
  bytes.low = c.data + bytes.needed.y * c.row_stride +
              static_cast<ptrdiff_t>(bytes.needed.x) * c.pixel_stride;
  bytes.row_bytes = static_cast<size_t>(bytes.needed.width - 1) * c.pixel_stride +
                    static_cast<size_t>(frame.bytes_per_sample);
  return bytes;
}

// Whether the component's rows lie in the plane's, give or take a pixel: R, G and B of a packed
// picture, U and V of NV12.
bool SharesRows(const StagedPlane& plane, const Component& c, const ComponentBytes& bytes) {
  constexpr ptrdiff_t kPixel = 64;  // the largest pixel stride
  if (plane.source_stride != c.row_stride || plane.rows != bytes.needed.height) return false;
  const ptrdiff_t begin = bytes.low - plane.source;
  const ptrdiff_t end = begin + static_cast<ptrdiff_t>(bytes.row_bytes);
  return begin <= static_cast<ptrdiff_t>(plane.row_bytes) + kPixel && end >= -kPixel;
}

void Include(const ComponentBytes& bytes, StagedPlane* plane) {
  const uint8_t* end = std::max(plane->source + plane->row_bytes, bytes.low + bytes.row_bytes);
  plane->source = std::min(plane->source, bytes.low);
  plane->row_bytes = static_cast<size_t>(end - plane->source);
}

// A planned frame, whose addresses count from the slot's start, to the slot's memory.
void MoveTo(const void* slot, FrameView* view) {
  for (int i = 0; i < ComponentCount(*view); ++i) {
    const uint8_t*& data = view->component[i].data;
    data = reinterpret_cast<const uint8_t*>(reinterpret_cast<intptr_t>(slot) +
                                            reinterpret_cast<intptr_t>(data));
  }
}

// use(stream) for each stream that fills frames in CUDA memory; neighbours of one stream count
// once.
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
  const int count = ComponentCount(frame);
  const size_t first = planes->size();
  ComponentBytes bytes[3];
  size_t plane_of[3] = {};
  for (int i = 0; i < count; ++i) {
    const Component& c = frame.component[i];
    bytes[i] = BytesOf(frame, i, spec);
    size_t p = first;
    while (p < planes->size() && !SharesRows((*planes)[p], c, bytes[i])) ++p;
    if (p == planes->size()) {
      planes->push_back({bytes[i].low, c.row_stride, bytes[i].needed.height, bytes[i].row_bytes});
    } else {
      Include(bytes[i], &(*planes)[p]);
    }
    plane_of[i] = p;
  }
  for (size_t p = first; p < planes->size(); ++p) {
    StagedPlane& plane = (*planes)[p];
    plane.offset = *offset;
    plane.pitch = RoundUp(plane.row_bytes);
    *offset += plane.pitch * static_cast<size_t>(plane.rows);
  }
  FrameView staged = frame;
  staged.memory = FrameMemory::kCuda;
  for (int i = 0; i < count; ++i) {
    // Sample (0, 0) may lie outside what was copied: an address to count from, never read.
    const StagedPlane& plane = (*planes)[plane_of[i]];
    const Rect& needed = bytes[i].needed;
    const auto pitch = static_cast<ptrdiff_t>(plane.pitch);
    const ptrdiff_t start = static_cast<ptrdiff_t>(plane.offset) + (bytes[i].low - plane.source) -
                            needed.y * pitch -
                            static_cast<ptrdiff_t>(needed.x) * frame.component[i].pixel_stride;
    staged.component[i].data = reinterpret_cast<const uint8_t*>(start);
    staged.component[i].row_stride = pitch;
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
