#include "kernels/cpu/preprocess/groups.h"

#include <algorithm>

#include "kernels/shared/preprocess_check.h"

namespace cliptag {
namespace {

// Adds a component whose samples lie between the group's, in the same rows.
bool Join(Group& group, const Component& component, int index, int table, int sample_bytes) {
  // As numbers, since the pointers may point into different planes.
  const ptrdiff_t from_base =
      reinterpret_cast<intptr_t>(component.data) - reinterpret_cast<intptr_t>(group.base);
  if (table != group.table || component.row_stride != group.row_stride ||
      component.pixel_stride != group.pixel_stride || from_base % sample_bytes != 0 ||
      from_base + sample_bytes > group.pixel_stride ||
      group.last_offset - from_base + sample_bytes > group.pixel_stride) {
    return false;
  }
  const int before = from_base < 0 ? static_cast<int>(-from_base) : 0;
  group.base -= before;
  for (int m = 0; m < group.members; ++m) group.offset[m] += before;
  group.component[group.members] = index;
  group.offset[group.members++] = static_cast<int>(from_base) + before;
  group.last_offset = *std::max_element(group.offset, group.offset + group.members);
  return true;
}

}  // namespace

Groups GroupsOf(const FrameView& view, const PreprocessPlan& plan) {
  Groups groups;
  for (int c = 0; c < ComponentCount(view); ++c) {
    const Component& component = view.component[c];
    const int table = plan.table_of(c);
    bool joined = false;
    for (int g = 0; g < groups.count && !joined; ++g) {
      joined = Join(groups.group[g], component, c, table, view.bytes_per_sample);
    }
    if (joined) continue;
    Group& group = groups.group[groups.count++];
    group.base = component.data;
    group.row_stride = component.row_stride;
    group.pixel_stride = component.pixel_stride;
    group.table = table;
    group.members = 1;
    group.component[0] = c;
  }
  return groups;
}

}  // namespace cliptag
