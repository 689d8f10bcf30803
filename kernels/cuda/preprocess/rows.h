// Which components of a frame lie in the same rows of memory: packed pixels, the two chroma
// components of NV12, or a plane of one. The preprocessing kernel reads rows by such sets, and
// frames are brought to the device in them. Host code without any CUDA header.
//
// What the kernel may read of a set, which whoever brings a frame must bring (FrameStaging) and
// whoever hands in device memory must own (all frames do):
//   - the needed rows (needed_samples.h) and no others;
//   - of a row whole groups of bytes, counted from the set's first byte (RowSet::begin): from the
//     start of the group that holds the first needed sample to the end of the one with the last;
//   - but nothing before the row's first sample and nothing behind its last (RowBytes).
// A group is kColumnGroup pixels of the set's widest component (RowGroupBytes). The paths' own
// groups divide it: kColumnGroup samples on the one with tensor cores, kColumnGroup pixels on the
// exact one. The paths that go sample by sample read the needed samples alone.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>

#include "kernels/frame.h"

namespace cliptag::cuda {

// Components by their stored addresses; only addresses are looked at, never samples.
struct RowSet {
  int members = 0;
  int component[3] = {};
  intptr_t begin = 0, end = 0;  // of the first sample of the member that comes first, or last
};

inline intptr_t AddressOf(const Component& component) {
  return reinterpret_cast<intptr_t>(component.data);
}

// Returns how many; sets are in the order of their first components.
int RowSetsOf(const FrameView& view, RowSet (&sets)[3]);

// From a row's begin to the end of its last sample.
int RowBytes(const FrameView& view, const RowSet& set);

// A multiple of 16.
int RowGroupBytes(const FrameView& view, const RowSet& set);

}  // namespace cliptag::cuda
