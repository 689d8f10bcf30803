#include "kernels/cuda/preprocess/plan.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "kernels/base/concat.h"
#include "kernels/cuda/preprocess/rows.h"
#include "kernels/shared/color.h"
#include "kernels/shared/needed_samples.h"
#include "kernels/shared/preprocess_check.h"
#include "kernels/shared/resample.h"
#include "kernels/shared/tone_map.h"

namespace cliptag::cuda {
namespace {

// The most samples per target along a row on the path with tensor cores; with more, the filters
// would take too much memory.
constexpr double kMaxTensorScale = 32;

// The filter of a component along (or down) the stored rows.
FilterKey KeyOf(const FrameView& view, const PreprocessSpec& spec, int used, int index,
                bool along) {
  const FrameGeometry geometry = GeometryOf(view, spec);
  const bool chroma = view.kind == PixelKind::kYuv && index > 0;
  FilterKey key;
  key.interpolation = spec.interpolation;
  key.start = along ? geometry.crop.x : geometry.crop.y;
  key.extent = along ? geometry.crop.width : geometry.crop.height;
  key.shift = !chroma ? 0 : along ? view.chroma_shift_x : view.chroma_shift_y;
  // Without subsampling `cosited` means nothing: one key for both values.
  key.cosited = key.shift > 0 && (along ? view.chroma_cosited_x : view.chroma_cosited_y);
  key.flip = along ? geometry.map.flip_x : geometry.map.flip_y;
  const FitAxis& fit = along != geometry.map.swap ? geometry.fit.x : geometry.fit.y;
  key.resized = fit.resized;
  key.offset = fit.offset;
  key.begin = fit.begin;
  key.end = fit.end;
  key.used = used;
  return key;
}

bool FitsTensorCores(const FrameView& view) {
  return !IsPlain8Bit(view) && (view.bytes_per_sample == 2 || view.shift == 0);
}

// The formats of kernels/cuda/preprocess/exact.cuh: gray, or pixels whose first three bytes are RGB
// in any order.
bool HasExactPixels(const FrameView& view) {
  if (!IsPlain8Bit(view)) return false;
  const int stride = view.component[0].pixel_stride;
  if (view.kind == PixelKind::kGray) return stride == 1;
  RowSet sets[3];
  if ((stride != 3 && stride != 4) || RowSetsOf(view, sets) != 1) return false;
  int places = 0;
  for (const Component& component : view.component) {
    if (component.pixel_stride != stride) return false;
    places |= 1 << (AddressOf(component) - sets[0].begin);
  }
  return places == 7;
}

// Address, stride and length of the rows of a set of components.
void DescribeMemory(const FrameView& view, const RowSet& set, PreprocessRows& rows) {
  rows.data = reinterpret_cast<const uint8_t*>(set.begin);
  rows.row_stride = view.component[set.component[0]].row_stride;
  rows.pixel_stride = view.component[set.component[0]].pixel_stride;
  for (int m = 0; m < set.members; ++m) {
    const int c = set.component[m];
    rows.offset[c] = static_cast<int>(AddressOf(view.component[c]) - set.begin);
  }
  rows.row_bytes = RowBytes(view, set);
  const auto aligned = [&](int bytes) {
    return set.begin % bytes == 0 && rows.row_stride % bytes == 0;
  };
  rows.copy_bytes = aligned(16) ? 16 : aligned(4) ? 4 : 1;
}

// The kernel's values are (sample - middle) * unit.
void DescribeColor(const FrameView& view, double middle, double unit, PreprocessFrame& frame) {
  const ColorMap map = MakeColorMap(view.kind, view.matrix, view.full_range, view.bits);
  frame.yuv = view.kind == PixelKind::kYuv ? 1 : 0;
  frame.y = static_cast<float>(map.y / unit);
  frame.rv = static_cast<float>(map.rv / unit);
  frame.gu = static_cast<float>(map.gu / unit);
  frame.gv = static_cast<float>(map.gv / unit);
  frame.bu = static_cast<float>(map.bu / unit);
  frame.zero[0] = static_cast<float>(map.r0 + middle * (map.y + map.rv));
  frame.zero[1] = static_cast<float>(map.g0 + middle * (map.y + map.gu + map.gv));
  frame.zero[2] = static_cast<float>(map.b0 + middle * (map.y + map.bu));
}

// How samples become f16 values for tensor cores, and the colour conversion of these. With up to 10
// bits: 1024 + sample (the bits of an f16 are put together). Else the sample's difference to the
// middle, scaled to 10 bits.
void DescribeSamples(const FrameView& view, PreprocessFrame& frame) {
  const int bits = view.bytes_per_sample == 1 ? 8 : view.bits;
  const double middle = 1 << (bits - 1);
  double unit = 1;
  if (bits <= 10) {
    frame.bias = static_cast<float>(1024 + middle);
    const uint32_t mask = (1u << std::min(10, 16 - view.shift)) - 1;
    frame.word_mask = mask << 16 | mask;
  } else {
    unit = 1.0 / (1 << (bits - 10));
    frame.word_scale = static_cast<float>(unit);
    frame.word_middle = static_cast<float>(middle * unit);
  }
  DescribeColor(view, middle, unit, frame);
}

}  // namespace

uint32_t PreprocessPlan::Place(const FilterKey& key) {
  Filter& filter = cache_.Find(key, batch_);
  if (filter.batch != batch_) {
    filter.batch = batch_;
    filter.placed_at = static_cast<uint32_t>(table_.size());
    table_.insert(table_.end(), filter.bytes.begin(), filter.bytes.end());
  }
  return filter.placed_at;
}

uint32_t PreprocessPlan::PlaceToneMap(const FrameView& view) {
  if (!NeedsToneMap(view)) return 0;
  tone_map_ = true;
  uint32_t& at = tone_maps_[static_cast<int>(view.transfer)][static_cast<int>(view.primaries)];
  if (at != 0) return at;
  at = static_cast<uint32_t>(table_.size());
  const ToneMapTable& table = ToneMapTableOf(view.transfer, view.primaries);
  const auto* bytes = reinterpret_cast<const std::byte*>(&table);
  table_.insert(table_.end(), bytes, bytes + sizeof(table));
  return at;
}

void PreprocessPlan::DescribeTaps(const FrameView& view, PreprocessFrame& frame) {
  const bool fixed = IsPlain8Bit(view);
  frame.path = fixed ? PreprocessPath::kFixedTaps : PreprocessPath::kRealTaps;
  DescribeColor(view, 0, 1, frame);
  for (int c = 0; c < frame.components; ++c) {
    const Component& stored = view.component[c];
    PreprocessComponent& component = frame.component[c];
    component.data = stored.data;
    component.step_x = frame.swap != 0 ? stored.row_stride : stored.pixel_stride;
    component.step_y = frame.swap != 0 ? stored.pixel_stride : stored.row_stride;
    FilterKey along = KeyOf(view, spec_, used_, c, true);
    FilterKey down = KeyOf(view, spec_, used_, c, false);
    along.form = down.form = fixed ? FilterForm::kFixedTaps : FilterForm::kRealTaps;
    component.taps_x = Place(frame.swap != 0 ? down : along);
    component.taps_y = Place(frame.swap != 0 ? along : down);
  }
  frame.blocks_across = (used_ + kTapsTile - 1) / kTapsTile;
}

bool PreprocessPlan::DescribeRows(const FrameView& view, PreprocessFrame& frame) {
  for (int c = 0; c < frame.components; ++c) {
    for (const bool along : {true, false}) {
      const ResampleAxis axis = AxisOf(KeyOf(view, spec_, used_, c, along));
      if (axis.scale * axis.step > kMaxTensorScale) return false;
    }
  }
  RowSet sets[3];
  frame.row_sets = RowSetsOf(view, sets);
  int steps = 0;
  for (int s = 0; s < frame.row_sets; ++s) {
    FilterKey down = KeyOf(view, spec_, used_, sets[s].component[0], false);
    down.form = FilterForm::kDown;
    steps += (cache_.Find(down, batch_).most_rows + kRowStep - 1) / kRowStep;
    PreprocessRows& rows = frame.rows[s];
    DescribeMemory(view, sets[s], rows);
    rows.down = Place(down);
    for (int m = 0; m < sets[s].members; ++m) {
      const int c = sets[s].component[m];
      FilterKey across = KeyOf(view, spec_, used_, c, true);
      across.form = FilterForm::kAcross;
      across.column_stride = view.component[c].pixel_stride / view.bytes_per_sample;
      across.column_offset = rows.offset[c] / view.bytes_per_sample;
      across.sample_bytes = view.bytes_per_sample;
      rows.across[c] = Place(across);
    }
  }
  const size_t fragment_bytes = static_cast<size_t>(steps) * kStepFragmentBytes;
  if (fragment_bytes > kMaxFragmentBytes) return false;
  fragment_bytes_ = std::max(fragment_bytes_, fragment_bytes);
  frame.path = PreprocessPath::kTensor;
  frame.blocks_across = (used_ + kBlockAcross - 1) / kBlockAcross;
  DescribeSamples(view, frame);
  return true;
}

bool PreprocessPlan::DescribeExact(const FrameView& view, PreprocessFrame& frame) {
  FilterKey across = KeyOf(view, spec_, used_, 0, true);
  FilterKey down = KeyOf(view, spec_, used_, 0, false);
  across.form = FilterForm::kExactAcross;
  down.form = FilterForm::kExactDown;
  if (!cache_.Find(across, batch_).exact || !cache_.Find(down, batch_).exact) return false;
  RowSet sets[3];
  frame.row_sets = RowSetsOf(view, sets);
  DescribeMemory(view, sets[0], frame.rows[0]);
  frame.rows[0].down = Place(down);
  frame.rows[0].across[0] = Place(across);
  frame.path = PreprocessPath::kExact;
  frame.blocks_across = (used_ + kDownTile * kPreprocessWarps - 1) / (kDownTile * kPreprocessWarps);
  DescribeColor(view, 0, 1, frame);
  return true;
}

void PreprocessPlan::DescribeFrame(const FrameView& view, PreprocessFrame& frame) {
  const FrameGeometry geometry = GeometryOf(view, spec_);
  frame.begin_x = geometry.fit.x.begin;
  frame.end_x = geometry.fit.x.end;
  frame.begin_y = geometry.fit.y.begin;
  frame.end_y = geometry.fit.y.end;
  frame.components = ComponentCount(view);
  frame.swap = geometry.map.swap ? 1 : 0;
  frame.bytes_per_sample = view.bytes_per_sample;
  frame.shift = view.shift;
  frame.tone_map = PlaceToneMap(view);
  if (HasExactPixels(view) && !geometry.map.swap && DescribeExact(view, frame)) return;
  if (FitsTensorCores(view) && DescribeRows(view, frame)) return;
  DescribeTaps(view, frame);
}

Status PreprocessPlan::Build(std::span<const FrameView> frames, const PreprocessSpec& spec) {
  if (spec.size >= kMaxPreprocessSize) {
    return Unsupported(Concat("an input of ", spec.size,
                              " pixels is too large for Preprocess on CUDA; the most is ",
                              kMaxPreprocessSize - 1));
  }
  ++batch_;
  spec_ = spec;
  used_ = spec.size / spec.patch * spec.patch;
  frames_ = static_cast<int>(frames.size());
  fragment_bytes_ = 0;
  tone_map_ = false;
  std::fill_n(&tone_maps_[0][0], kTransfers * kPrimaries, 0u);
  static_assert(sizeof(PreprocessFrame) % 16 == 0);
  uint64_t blocks = 0;
  frame_blocks_ = 0;
  try {
    table_.assign(frames.size() * sizeof(PreprocessFrame), std::byte{0});
    for (size_t i = 0; i < frames.size(); ++i) {
      PreprocessFrame frame;
      frame.first_block = static_cast<int32_t>(blocks);
      DescribeFrame(frames[i], frame);
      std::memcpy(table_.data() + i * sizeof(frame), &frame, sizeof(frame));
      static_assert(kDownTile == kTapsTile);
      const int own = frame.blocks_across * ((used_ + kDownTile - 1) / kDownTile);
      frame_blocks_ = i == 0 || own == frame_blocks_ ? own : 0;
      blocks += static_cast<uint64_t>(own);
      if (blocks > std::numeric_limits<int32_t>::max() ||
          table_.size() > std::numeric_limits<uint32_t>::max()) {
        return ResourceExhausted(Concat("a batch of ", frames.size(),
                                        " frames is too much for one launch of Preprocess"));
      }
    }
  } catch (const std::bad_alloc&) {
    return ResourceExhausted(
        Concat("not enough memory for the filter tables of ", frames.size(), " frames"));
  }
  blocks_ = static_cast<unsigned>(blocks);
  return {};
}

}  // namespace cliptag::cuda
