// Which components of a frame are in the same rows of memory: packed pixels, the two chroma
// components of NV12, or a single plane. The preprocessing kernel reads rows by such sets, and
// frames are copied to the device by them. Host code without any CUDA header.
//
// The kernel reads of a set, and FrameStaging copies:
//   - the needed rows (needed_samples.h) and no others;
//   - in a row, whole groups of bytes, counted from the set's first byte (RowSet::begin): from the
//     start of the group of the first needed sample to the end of the group of the last one;
//   - but nothing before the row's first sample and nothing after its last one (RowBytes).
// A group is kColumnGroup pixels of the set's widest component (RowGroupBytes). The paths' own
// groups divide it: kColumnGroup samples on the path with tensor cores, kColumnGroup pixels on the
// exact one. The paths with taps read only the needed samples.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>

#include "kernels/frame.h"

namespace cliptag::cuda {

// Uses only the components' addresses, never samples.
struct RowSet {
  int members = 0;
  int component[3] = {};
  intptr_t begin = 0, end = 0;  // of the first samples of all members
};

inline intptr_t AddressOf(const Component& component) {
  return reinterpret_cast<intptr_t>(component.data);
}

// Returns the number of sets; they are in the order of their first components.
int RowSetsOf(const FrameView& view, RowSet (&sets)[3]);

// From a row's begin to the end of its last sample.
int RowBytes(const FrameView& view, const RowSet& set);

// A multiple of 16.
int RowGroupBytes(const FrameView& view, const RowSet& set);

}  // namespace cliptag::cuda
