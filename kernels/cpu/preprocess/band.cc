#include "kernels/cpu/preprocess/band.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/preprocess/groups.h"
#include "kernels/cpu/preprocess/writer.h"
#include "kernels/shared/color.h"
#include "kernels/shared/preprocess_check.h"
#include "kernels/shared/tone_map.h"

namespace cliptag {
namespace {

// Offsets of the buffers in a band's scratch.
struct Scratch {
  size_t columns = 0;  // (span of a tile, 16): bytes or floats
  size_t tile = 0;     // (3, kTile, 16) floats; for 8-bit pictures (kTile, 16) bytes
  size_t floats = 0;   // (kTile, 16) or a line of `used`
  size_t rows = 0;     // (rows, row bytes): 8-bit pictures between the passes
  size_t row = 0;      // one such row
  size_t line = 0;     // a run of pixels as bf16
  size_t bytes = 0;
};

Scratch LayScratch(const FrameView& view, const PreprocessPlan& plan, const Groups& groups) {
  Scratch scratch;
  const auto place = [&](size_t bytes) {
    const size_t at = scratch.bytes;
    scratch.bytes += (bytes + 63) / 64 * 64;
    return at;
  };
  size_t span = 0;
  for (int g = 0; g < groups.count; ++g) {
    const Group& group = groups.group[g];
    const int samples = plan.across[group.table].tile_samples;
    span = std::max<size_t>(span, SpanBytes(group, samples, view.bytes_per_sample));
  }
  const size_t across = plan.across[0].outputs();
  const size_t longest = std::max<size_t>({across, kTile, kBlock});
  scratch.line = place(longest * sizeof(uint16_t));
  scratch.floats = place(std::max<size_t>(longest, size_t{kTile} * kBlock) * sizeof(float));
  if (!plan.key.plain8) {
    scratch.columns = place(span / view.bytes_per_sample * kBlock * sizeof(float));
    scratch.tile = place(size_t{3} * kTile * kBlock * sizeof(float));
    return scratch;
  }
  scratch.columns = place(span * kBlock);
  scratch.tile = place(size_t{kTile} * kBlock);
  if (plan.swap) {
    scratch.rows = place(span * kBlock);
  } else {
    const size_t row = across * ComponentCount(view);
    scratch.rows = place(row * (plan.down[0].block_samples + kBlock));
    scratch.row = place(row);
  }
  return scratch;
}

// What the passes of a band share.
struct Band {
  const BandJob& job;
  const FrameView& view;
  const PreprocessPlan& plan;
  const PreprocessKernels& kernels;
  Groups groups;
  Scratch scratch;
  PatchWriter writer;
  int begin, end;                // outputs down the stored rows
  int down_first, across_first;  // target pixels of output 0

  template <typename T>
  T* At(size_t offset) const {
    return reinterpret_cast<T*>(job.scratch + offset);
  }
};

// ---- real numbers -------------------------------------------------------------------------------

ColorArgs ColorArgsOf(const FrameView& view, const PreprocessSpec& spec) {
  const ColorMap map = MakeColorMap(view.kind, view.matrix, view.full_range, view.bits);
  ColorArgs color{};
  color.y = static_cast<float>(map.y);
  color.rv = static_cast<float>(map.rv);
  color.gu = static_cast<float>(map.gu);
  color.gv = static_cast<float>(map.gv);
  color.bu = static_cast<float>(map.bu);
  const double zero[3] = {map.r0, map.g0, map.b0};
  for (int c = 0; c < 3; ++c) {
    color.zero[c] = static_cast<float>(zero[c]);
    color.scale[c] = static_cast<float>(1.0 / spec.std[c]);
    color.bias[c] = static_cast<float>(-static_cast<double>(spec.mean[c]) / spec.std[c]);
  }
  return color;
}

// Prefetches the samples of the next block of outputs down, for the same outputs across. Otherwise
// each row waits for memory and for page table walks.
void PrefetchNextBlock(const Band& band, const Group& group, int o, int rows,
                       const SampleRange& range) {
  constexpr int kLine = 64;
  if (o + rows >= band.end) return;
  const AxisTable& down = band.plan.down[group.table];
  const SampleRange now = SamplesUnder(down, o, o + rows);
  const SampleRange next = SamplesUnder(down, o + rows, std::min(o + rows + kBlock, band.end));
  const auto bytes = SpanBytes(group, range.count(), band.view.bytes_per_sample);
  const uint8_t* first = group.base + static_cast<ptrdiff_t>(range.first) * group.pixel_stride;
  for (int row = next.first; row < next.end; ++row) {
    if (row >= now.first && row < now.end) continue;
    for (int64_t b = 0; b < bytes; b += kLine) {
      __builtin_prefetch(first + row * group.row_stride + b, 0, 2);
    }
  }
}

// The pass down: `rows` outputs from `o` on, of the samples `range` (`words` words), as columns.
void DownRows(const Band& band, const Group& group, int o, int rows, const SampleRange& range,
              int words, float* columns) {
  const AxisTable& down = band.plan.down[group.table];
  const PreprocessKernels& kernels = band.kernels;
  const int shift = band.view.shift;
  const uint8_t* first = group.base + static_cast<ptrdiff_t>(range.first) * group.pixel_stride;
  const bool bytes = band.view.bytes_per_sample == 1;
  if (bytes && shift == 0 && kernels.down_pairs_u8 != nullptr) {
    const SampleRange under = SamplesUnder(down, o, o + rows);
    if (kernels.down_pairs_u8(first, group.row_stride, under.first, under.end, &down.pair_taps[o],
                              down.pair_weights.data(), down.pair_scale, rows, words, columns)) {
      return;
    }
  }
  const auto sum = bytes ? kernels.down_f32_u8 : kernels.down_f32_u16;
  sum(first, group.row_stride, &down.taps[o], down.real.data(), rows, words, shift, columns);
}

// Resamples outputs [t0, t0 + count) across and [o, o + rows) down, into tile (3, kTile, 16).
void ResampleTile(const Band& band, int o, int rows, int t0, int count) {
  const FrameView& view = band.view;
  const int sample_bytes = view.bytes_per_sample;
  float* columns = band.At<float>(band.scratch.columns);
  for (int g = 0; g < band.groups.count; ++g) {
    const Group& group = band.groups.group[g];
    const AxisTable& across = band.plan.across[group.table];
    const SampleRange range = SamplesUnder(across, t0, t0 + count);
    const auto words =
        static_cast<int>(SpanBytes(group, range.count(), sample_bytes) / sample_bytes);
    PrefetchNextBlock(band, group, o, rows, range);
    DownRows(band, group, o, rows, range, words, columns);
    for (int m = 0; m < group.members; ++m) {
      float* tile = band.At<float>(band.scratch.tile) + group.component[m] * kTile * kBlock;
      band.kernels.across_f32(columns + group.offset[m] / sample_bytes * kBlock,
                              static_cast<ptrdiff_t>(group.pixel_stride / sample_bytes) * kBlock,
                              range.first, &across.taps[t0], across.real.data(), count, tile);
    }
  }
}

void ConvertTile(const Band& band, const ColorArgs& color, int count) {
  float* tile = band.At<float>(band.scratch.tile);
  constexpr int kChannel = kTile * kBlock;
  if (band.view.kind == PixelKind::kYuv) {
    band.kernels.convert_yuv(color, count * kBlock, tile, tile + kChannel, tile + 2 * kChannel);
    return;
  }
  const bool gray = band.view.kind == PixelKind::kGray;
  for (int c = 2; c >= 0; --c) {  // gray: channel 0 is the source of all, so it is last
    band.kernels.convert_one(color, c, count * kBlock, tile + (gray ? 0 : c * kChannel),
                             tile + c * kChannel);
  }
}

// Writes one channel of a tile, (count, 16) floats, to the output.
void WriteTile(const Band& band, int channel, const float* tile, int o, int rows, int t0,
               int count) {
  const int down = band.down_first + o, across = band.across_first + t0;
  if (band.plan.swap) {
    for (int t = 0; t < count; ++t) {
      band.writer.Run(channel, across + t, down, rows, tile + t * kBlock);
    }
    return;
  }
  float* lines = band.At<float>(band.scratch.floats);  // (16, kTile)
  band.kernels.transpose_f32(tile, count, lines, kTile);
  for (int r = 0; r < rows; ++r) {
    band.writer.Run(channel, down + r, across, count, lines + r * kTile);
  }
}

// ConvertTile for HDR and BT.2020 frames.
void ToneMapTile(const Band& band, const ColorArgs& color, int count) {
  ColorArgs plain = color;
  for (int c = 0; c < 3; ++c) {
    plain.scale[c] = 1.0f;
    plain.bias[c] = 0.0f;
  }
  ConvertTile(band, plain, count);
  float* tile = band.At<float>(band.scratch.tile);
  constexpr int kChannel = kTile * kBlock;
  band.kernels.tone_map(ToneMapTableOf(band.view.transfer, band.view.primaries), color,
                        count * kBlock, tile, tile + kChannel, tile + 2 * kChannel);
}

void RunReal(const Band& band) {
  const ColorArgs color = ColorArgsOf(band.view, *band.job.spec);
  const auto convert = NeedsToneMap(band.view) ? ToneMapTile : ConvertTile;
  const int outputs = band.plan.across[0].outputs();
  for (int o = band.begin; o < band.end; o += kBlock) {
    const int rows = std::min(kBlock, band.end - o);
    for (int t0 = 0; t0 < outputs; t0 += kTile) {
      const int count = std::min(kTile, outputs - t0);
      ResampleTile(band, o, rows, t0, count);
      convert(band, color, count);
      for (int c = 0; c < 3; ++c) {
        const float* tile = band.At<float>(band.scratch.tile) + c * kTile * kBlock;
        WriteTile(band, c, tile, o, rows, t0, count);
      }
    }
  }
}

// ---- 8 bits, as PIL -----------------------------------------------------------------------------

// The tile's bytes of one component, (count, 16), from 16 rows of the group's samples `range`.
void AcrossTile(const Band& band, const Group& group, int member, const uint8_t* columns,
                const SampleRange& range, int t0, int count) {
  const AxisTable& across = band.plan.across[0];
  band.kernels.across_u8(columns + group.offset[member] * kBlock,
                         static_cast<ptrdiff_t>(group.pixel_stride) * kBlock, range.first,
                         &across.taps[t0], across.fixed.data(), count,
                         band.At<uint8_t>(band.scratch.tile));
}

// Bytes of `channel` to normalised floats.
void Normalise(const Band& band, int channel, const uint8_t* bytes, int count, float* out) {
  const PreprocessSpec& spec = *band.job.spec;
  const double std = spec.std[channel];
  band.kernels.bytes_to_f32(bytes, static_cast<float>(1.0 / (255.0 * std)),
                            static_cast<float>(-spec.mean[channel] / std), count, out);
}

// Resamples up to 16 stored rows from `row` on, to 16 rows of (components, outputs) bytes.
void AcrossRows(const Band& band, int row, int rows, uint8_t* to, ptrdiff_t to_stride) {
  uint8_t* columns = band.At<uint8_t>(band.scratch.columns);
  const AxisTable& across = band.plan.across[0];
  const int outputs = across.outputs();
  for (int t0 = 0; t0 < outputs; t0 += kTile) {
    const int count = std::min(kTile, outputs - t0);
    const SampleRange range = SamplesUnder(across, t0, t0 + count);
    for (int g = 0; g < band.groups.count; ++g) {
      const Group& group = band.groups.group[g];
      const uint8_t* from[kBlock];
      for (int r = 0; r < kBlock; ++r) {
        from[r] = group.base + (row + std::min(r, rows - 1)) * group.row_stride +
                  static_cast<ptrdiff_t>(range.first) * group.pixel_stride;
      }
      band.kernels.load_columns(from, static_cast<int>(SpanBytes(group, range.count(), 1)),
                                columns);
      for (int m = 0; m < group.members; ++m) {
        AcrossTile(band, group, m, columns, range, t0, count);
        band.kernels.transpose_u8(band.At<uint8_t>(band.scratch.tile), count,
                                  to + static_cast<ptrdiff_t>(group.component[m]) * outputs + t0,
                                  to_stride);
      }
    }
  }
}

// One output row, from the rows between the passes; `first` is the stored row of the first one.
void DownRow(const Band& band, int output, const uint8_t* rows, int first, int row_bytes) {
  const AxisTable& down = band.plan.down[0];
  const Taps& taps = down.taps[output];
  const int outputs = band.plan.across[0].outputs();
  uint8_t* row = band.At<uint8_t>(band.scratch.row);
  band.kernels.down_u8(rows + static_cast<ptrdiff_t>(taps.first - first) * row_bytes, row_bytes,
                       &down.fixed[taps.at], taps.count, row_bytes, row);
  float* line = band.At<float>(band.scratch.floats);
  for (int c = 0; c < 3; ++c) {
    const int component = band.view.kind == PixelKind::kGray ? 0 : c;
    Normalise(band, c, row + static_cast<ptrdiff_t>(component) * outputs, outputs, line);
    band.writer.Run(c, band.down_first + output, band.across_first, outputs, line);
  }
}

// Upright pictures: across first. The rows between the passes move through a sliding buffer, in
// stored order.
void RunBytesAcrossFirst(const Band& band) {
  const AxisTable& down = band.plan.down[0];
  const int row_bytes = band.plan.across[0].outputs() * ComponentCount(band.view);
  const int last_row = SamplesUnder(down, band.begin, band.end).end;
  uint8_t* rows = band.At<uint8_t>(band.scratch.rows);
  int first = 0, end = 0;  // stored rows that `rows` holds
  for (int j = band.begin; j < band.end; j += kBlock) {
    const int block = std::min(kBlock, band.end - j);
    // Backwards if flipped, so that the needed rows only ever move forward.
    const int o = band.plan.flip_down ? band.begin + band.end - j - block : j;
    const SampleRange need = SamplesUnder(down, o, o + block);
    const int kept = std::max(0, end - need.first);
    std::memmove(rows, rows + static_cast<ptrdiff_t>(end - kept - first) * row_bytes,
                 static_cast<size_t>(kept) * row_bytes);
    first = need.first;
    end = first + kept;
    while (end < need.end) {
      const int more = std::min(kBlock, last_row - end);
      AcrossRows(band, end, more, rows + static_cast<ptrdiff_t>(end - first) * row_bytes,
                 row_bytes);
      end += more;
    }
    for (int i = 0; i < block; ++i) DownRow(band, o + i, rows, first, row_bytes);
  }
}

// Pictures rotated by 90 or 270 degrees: their upright rows are stored columns.
void RunBytesDownFirst(const Band& band) {
  const AxisTable& across = band.plan.across[0];
  const AxisTable& down = band.plan.down[0];
  uint8_t* columns = band.At<uint8_t>(band.scratch.columns);
  float* floats = band.At<float>(band.scratch.floats);
  for (int o = band.begin; o < band.end; o += kBlock) {
    const int rows = std::min(kBlock, band.end - o);
    for (int t0 = 0; t0 < across.outputs(); t0 += kTile) {
      const int count = std::min(kTile, across.outputs() - t0);
      const SampleRange range = SamplesUnder(across, t0, t0 + count);
      for (int g = 0; g < band.groups.count; ++g) {
        const Group& group = band.groups.group[g];
        const auto bytes = static_cast<int>(SpanBytes(group, range.count(), 1));
        uint8_t* between = band.At<uint8_t>(band.scratch.rows);
        const uint8_t* from[kBlock];
        for (int r = 0; r < kBlock; ++r) {
          from[r] = between + static_cast<ptrdiff_t>(std::min(r, rows - 1)) * bytes;
        }
        for (int r = 0; r < rows; ++r) {
          const Taps& taps = down.taps[o + r];
          const uint8_t* row = group.base + taps.first * group.row_stride +
                               static_cast<ptrdiff_t>(range.first) * group.pixel_stride;
          band.kernels.down_u8(row, group.row_stride, &down.fixed[taps.at], taps.count, bytes,
                               between + static_cast<ptrdiff_t>(r) * bytes);
        }
        band.kernels.load_columns(from, bytes, columns);
        for (int m = 0; m < group.members; ++m) {
          AcrossTile(band, group, m, columns, range, t0, count);
          const bool gray = band.view.kind == PixelKind::kGray;
          for (int c = group.component[m]; c < (gray ? 3 : group.component[m] + 1); ++c) {
            Normalise(band, c, band.At<uint8_t>(band.scratch.tile), count * kBlock, floats);
            WriteTile(band, c, floats, o, rows, t0, count);
          }
        }
      }
    }
  }
}

// Fills the whole band with the letterbox colour; the picture overwrites it.
void FillBand(const Band& band) {
  const int used = band.plan.used;
  const PreprocessSpec& spec = *band.job.spec;
  float values[kTile];
  for (int c = 0; c < 3; ++c) {
    const double fill = (static_cast<double>(spec.fill[c]) - spec.mean[c]) / spec.std[c];
    std::fill(values, values + kTile, static_cast<float>(fill));
    const int y_begin = band.plan.swap ? 0 : band.job.begin;
    const int y_end = band.plan.swap ? used : band.job.end;
    const int x_begin = band.plan.swap ? band.job.begin : 0;
    const int x_end = band.plan.swap ? band.job.end : used;
    for (int y = y_begin; y < y_end; ++y) {
      for (int x = x_begin; x < x_end; x += kTile) {
        band.writer.Run(c, y, x, std::min(kTile, x_end - x), values);
      }
    }
  }
}

}  // namespace

size_t BandScratchBytes(const FrameView& view, const PreprocessPlan& plan) {
  return LayScratch(view, plan, GroupsOf(view, plan)).bytes;
}

void RunBand(const BandJob& job) {
  const PreprocessPlan& plan = *job.plan;
  const Groups groups = GroupsOf(*job.view, plan);
  const Scratch scratch = LayScratch(*job.view, plan, groups);
  const FitAxis& fit = plan.down_fit();
  const Band band{job,
                  *job.view,
                  plan,
                  *job.kernels,
                  groups,
                  scratch,
                  PatchWriter(*job.spec, *job.kernels, job.out,
                              reinterpret_cast<uint16_t*>(job.scratch + scratch.line)),
                  std::max(job.begin, fit.begin) - fit.begin,
                  std::min(job.end, fit.end) - fit.begin,
                  fit.begin,
                  plan.across_fit().begin};
  if (plan.has_bars()) FillBand(band);
  if (band.begin >= band.end) return;
  if (!plan.key.plain8) {
    RunReal(band);
  } else if (plan.swap) {
    RunBytesDownFirst(band);
  } else {
    RunBytesAcrossFirst(band);
  }
}

}  // namespace cliptag
