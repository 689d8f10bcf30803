// The description of a batch of frames for the preprocessing kernel, laid out as
// kernels/cuda/preprocess/table.h says: built on the host, copied to the device once per batch.
// Host code without any CUDA header.
//
// Ownership: a plan owns its table until the next Build and borrows nothing; the frames' components
// are device addresses, which are copied and never dereferenced. Once buffers have grown and
// filters are cached, Build allocates nothing. Thread safety: used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/base/status.h"
#include "kernels/cuda/preprocess/filter.h"
#include "kernels/cuda/preprocess/table.h"
#include "kernels/frame.h"
#include "kernels/shared/tone_map.h"

namespace cliptag::cuda {

class PreprocessPlan {
 public:
  // Frames and spec that CheckFrames accepts.
  Status Build(std::span<const FrameView> frames, const PreprocessSpec& spec);

  // To be copied to memory that is 256-byte aligned; a multiple of 16 bytes.
  std::span<const std::byte> table() const { return table_; }
  // For LaunchPreprocess.
  const PreprocessSpec& spec() const { return spec_; }
  int frames() const { return frames_; }
  unsigned blocks() const { return blocks_; }
  // Blocks of every frame if all have the same number, else 0.
  int frame_blocks() const { return frame_blocks_; }
  // Whether any frame is tone-mapped.
  bool tone_map() const { return tone_map_; }
  // Shared memory for the down filters of the frame with the most.
  size_t fragment_bytes() const { return fragment_bytes_; }

 private:
  uint32_t Place(const FilterKey& key);
  uint32_t PlaceToneMap(const FrameView& view);
  void DescribeFrame(const FrameView& view, PreprocessFrame& frame);
  void DescribeTaps(const FrameView& view, PreprocessFrame& frame);
  // These two return false if the path does not support the frame.
  bool DescribeRows(const FrameView& view, PreprocessFrame& frame);
  bool DescribeExact(const FrameView& view, PreprocessFrame& frame);

  FilterCache cache_;
  std::vector<std::byte> table_;
  PreprocessSpec spec_;
  int frames_ = 0, used_ = 0;
  unsigned blocks_ = 0;
  int frame_blocks_ = 0;
  size_t fragment_bytes_ = 0;
  bool tone_map_ = false;
  uint32_t tone_maps_[kTransfers][kPrimaries] = {};  // offsets of the tables; 0 = not in use
  uint64_t batch_ = 0;
};

}  // namespace cliptag::cuda
