#include "kernels/cuda/preprocess/rows.h"

#include <algorithm>

#include "kernels/cuda/preprocess/table.h"
#include "kernels/shared/preprocess_check.h"

namespace cliptag::cuda {
namespace {

bool Join(const FrameView& view, int index, RowSet& set) {
  const Component& component = view.component[index];
  const Component& other = view.component[set.component[0]];
  const intptr_t begin = std::min(set.begin, AddressOf(component));
  const intptr_t end = std::max(set.end, AddressOf(component) + view.bytes_per_sample);
  const int widest = std::max(component.pixel_stride, other.pixel_stride);
  if (component.row_stride != other.row_stride || end - begin > widest ||
      (AddressOf(component) - set.begin) % view.bytes_per_sample != 0) {
    return false;
  }
  set.component[set.members++] = index;
  set.begin = begin;
  set.end = end;
  return true;
}

}  // namespace

// Components of different subsampling down the rows are never in the same rows.
int RowSetsOf(const FrameView& view, RowSet (&sets)[3]) {
  int count = 0;
  for (int c = 0; c < ComponentCount(view); ++c) {
    bool joined = false;
    for (int s = 0; s < count && !joined; ++s) {
      const bool chroma = view.kind == PixelKind::kYuv && view.chroma_shift_y > 0;
      joined = (!chroma || (c > 0) == (sets[s].component[0] > 0)) && Join(view, c, sets[s]);
    }
    if (joined) continue;
    const intptr_t begin = AddressOf(view.component[c]);
    sets[count++] = {1, {c}, begin, begin + view.bytes_per_sample};
  }
  return count;
}

int RowBytes(const FrameView& view, const RowSet& set) {
  int bytes = 0;
  for (int m = 0; m < set.members; ++m) {
    const int c = set.component[m];
    const Component& component = view.component[c];
    const int last = static_cast<int>(AddressOf(component) - set.begin) +
                     (SamplesX(view, c) - 1) * component.pixel_stride;
    bytes = std::max(bytes, last + view.bytes_per_sample);
  }
  return bytes;
}

int RowGroupBytes(const FrameView& view, const RowSet& set) {
  int widest = 0;
  for (int m = 0; m < set.members; ++m) {
    widest = std::max(widest, view.component[set.component[m]].pixel_stride);
  }
  return GroupBytes(widest);
}

}  // namespace cliptag::cuda
