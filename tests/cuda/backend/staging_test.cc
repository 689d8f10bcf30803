// What the CUDA backend copies of a frame: enough, and no more than it says. Host code alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "kernels/cuda/preprocess/frame_staging.h"
#include "kernels/cuda/preprocess/plan.h"
#include "kernels/shared/needed_samples.h"
#include "tests/preprocess/pictures.h"

namespace cliptag::cuda {
namespace {

// What the copies bring, laid out again in rows that are long enough for the oracle's checks,
// poison everywhere else.
struct Staged {
  FrameView view;
  std::vector<StagedPlane> planes;
  std::vector<std::vector<uint8_t>> copies;
};

Staged Stage(const FrameView& frame, const PreprocessSpec& spec, uint8_t poison) {
  constexpr size_t kRow = 8192;
  Staged staged;
  size_t bytes = 100;  // as if another frame were before it
  staged.view = PlanStaging(frame, spec, &bytes, &staged.planes);
  EXPECT_EQ(staged.view.memory, FrameMemory::kCuda);
  staged.view.memory = FrameMemory::kHost;
  for (const StagedPlane& plane : staged.planes) {
    EXPECT_GE(plane.pitch, plane.row_bytes);
    EXPECT_LE(plane.offset + plane.pitch * static_cast<size_t>(plane.rows), bytes);
    std::vector<uint8_t>& copy =
        staged.copies.emplace_back(kRow * static_cast<size_t>(plane.rows), poison);
    for (int row = 0; row < plane.rows; ++row) {
      std::memcpy(copy.data() + row * kRow, plane.source + row * plane.source_stride,
                  plane.row_bytes);
    }
  }
  const int count = frame.kind == PixelKind::kGray ? 1 : 3;
  for (int i = 0; i < count; ++i) {
    Component& c = staged.view.component[i];
    const Rect needed = NeededSamples(frame, i, spec);
    // The first sample that is needed, counted from the slot's start.
    const ptrdiff_t first = reinterpret_cast<intptr_t>(c.data) + needed.y * c.row_stride +
                            static_cast<ptrdiff_t>(needed.x) * c.pixel_stride;
    size_t p = 0;
    while (first < static_cast<ptrdiff_t>(staged.planes[p].offset) ||
           first >= static_cast<ptrdiff_t>(staged.planes[p].offset + staged.planes[p].row_bytes)) {
      if (++p == staged.planes.size()) {
        ADD_FAILURE() << "component " << i << " begins in no plane";
        return staged;
      }
    }
    EXPECT_EQ(c.row_stride, static_cast<ptrdiff_t>(staged.planes[p].pitch));
    c.row_stride = kRow;
    c.data = staged.copies[p].data() + first - staged.planes[p].offset -
             needed.y * static_cast<ptrdiff_t>(kRow) -
             static_cast<ptrdiff_t>(needed.x) * c.pixel_stride;
  }
  return staged;
}

void ExpectSamePixels(const FrameView& frame, const PreprocessSpec& spec) {
  const std::vector<float> expected = RunRef(frame, spec);
  for (const uint8_t poison : {0, 255}) {
    const Staged staged = Stage(frame, spec, poison);
    EXPECT_EQ(RunRef(staged.view, spec), expected);
  }
}

TEST(Staging, BringsWhatIsNeededOfEveryLayout) {
  for (const Layout& layout : AllLayouts()) {
    for (const bool upside_down : {false, true}) {
      SCOPED_TRACE(std::string(layout.name) + (upside_down ? " upside down" : ""));
      const TestFrame frame = MakeFrame(layout, 131, 77, Noise(1, layout, 131), 5, upside_down);
      for (const Fit fit : {Fit::kCrop, Fit::kSquash, Fit::kLetterbox}) {
        ExpectSamePixels(frame.view, PlainSpec(16, 8, fit, Interpolation::kBicubic));
      }
      ExpectSamePixels(frame.view, PlainSpec(200, 14, Fit::kCrop, Interpolation::kBilinear));
    }
  }
}

TEST(Staging, BringsWhatIsNeededOfTurnedAndCroppedFrames) {
  for (const char* name : {"NV12", "RGB", "I420", "YUY2"}) {
    const Layout& layout = LayoutNamed(name);
    const TestFrame frame = MakeFrame(layout, 90, 61, Noise(2, layout, 90));
    for (int orientation = 0; orientation < 8; ++orientation) {
      for (const Rect crop : {Rect{}, Rect{13, 7, 41, 50}, Rect{89, 60, 1, 1}}) {
        SCOPED_TRACE(std::string(name) + " orientation " + std::to_string(orientation) + " crop " +
                     std::to_string(crop.x));
        FrameView view = frame.view;
        view.orientation = static_cast<Orientation>(orientation);
        view.crop = crop;
        ExpectSamePixels(view, PlainSpec(24, 8, Fit::kCrop, Interpolation::kBicubic));
      }
    }
  }
}

// What a plan may read of a component or of a set of rows, by the plan's own table: bytes
// [begin, end) counted from `data` in each of `rows` rows, from `first_row` on.
struct Reads {
  intptr_t data = 0;
  int64_t row_stride = 0;
  int first_row = 0, rows = 0;
  int64_t begin = 0, end = 0;
};

template <typename Record>
std::vector<Record> RecordsAt(const PreprocessPlan& plan, uint32_t at, int count) {
  std::vector<Record> records(static_cast<size_t>(count));
  EXPECT_LE(at + records.size() * sizeof(Record), plan.table().size());
  std::memcpy(records.data(), plan.table().data() + at, records.size() * sizeof(Record));
  return records;
}

// Of the records that are not empty, by their first sample and how many: from the first to the end.
struct Span {
  int first = 0, end = 0;
  void Add(int from, int count) {
    if (count == 0) return;
    first = end == 0 ? from : std::min(first, from);
    end = std::max(end, from + count);
  }
};

Span TapsSpan(const PreprocessPlan& plan, uint32_t at, int used) {
  Span span;
  for (const auto& t : RecordsAt<PreprocessTaps>(plan, at, used)) span.Add(t.first, t.count);
  return span;
}

std::vector<Reads> ReadsByTaps(const PreprocessPlan& plan, const PreprocessFrame& frame, int used) {
  std::vector<Reads> all;
  for (int c = 0; c < frame.components; ++c) {
    const PreprocessComponent& component = frame.component[c];
    Span along = TapsSpan(plan, component.taps_x, used);
    Span down = TapsSpan(plan, component.taps_y, used);
    int64_t step = component.step_x, row_stride = component.step_y;
    if (frame.swap != 0) {
      std::swap(along, down);
      std::swap(step, row_stride);
    }
    all.push_back({reinterpret_cast<intptr_t>(component.data), row_stride, down.first,
                   down.end - down.first, along.first * step,
                   (along.end - 1) * step + frame.bytes_per_sample});
  }
  return all;
}

std::vector<Reads> ReadsByRows(const PreprocessPlan& plan, const PreprocessFrame& frame, int used) {
  std::vector<Reads> all;
  const bool exact = frame.path == PreprocessPath::kExact;
  const int across_tile = exact ? kDownTile : kAcrossTile;
  const auto tiles = [&](int targets) { return (used + targets - 1) / targets; };
  for (int s = 0; s < frame.row_sets; ++s) {
    const PreprocessRows& rows = frame.rows[s];
    Span down, groups;
    for (const auto& t : RecordsAt<PreprocessDownTile>(plan, rows.down, tiles(kDownTile))) {
      down.Add(t.first, t.rows);
    }
    for (const uint32_t across : rows.across) {
      if (across == 0) continue;
      for (const auto& t : RecordsAt<PreprocessAcrossTile>(plan, across, tiles(across_tile))) {
        groups.Add(t.first, t.count);
      }
    }
    const int group = GroupBytes(exact ? rows.pixel_stride : frame.bytes_per_sample);
    all.push_back({reinterpret_cast<intptr_t>(rows.data), rows.row_stride, down.first,
                   down.end - down.first, int64_t{groups.first} * group,
                   std::min<int64_t>(int64_t{groups.end} * group, rows.row_bytes)});
    EXPECT_EQ(rows.copy_bytes, 16);
  }
  return all;
}

// The path that the frame takes.
PreprocessPath ExpectReadsAreStaged(const FrameView& frame, const PreprocessSpec& spec) {
  size_t bytes = 100;  // as if another frame were before it
  std::vector<StagedPlane> planes;
  const FrameView staged = PlanStaging(frame, spec, &bytes, &planes);
  PreprocessPlan plan;
  const Status status = plan.Build({&staged, 1}, spec);
  EXPECT_TRUE(status.ok()) << status.message();
  const int used = spec.size / spec.patch * spec.patch;
  const auto record = RecordsAt<PreprocessFrame>(plan, 0, 1)[0];
  const bool by_rows =
      record.path == PreprocessPath::kExact || record.path == PreprocessPath::kTensor;
  for (const Reads& reads :
       by_rows ? ReadsByRows(plan, record, used) : ReadsByTaps(plan, record, used)) {
    EXPECT_GT(reads.rows, 0);
    EXPECT_GT(reads.end, reads.begin);
    const intptr_t first = reads.data + reads.first_row * reads.row_stride + reads.begin;
    const bool found = std::any_of(planes.begin(), planes.end(), [&](const StagedPlane& plane) {
      const auto offset = static_cast<intptr_t>(plane.offset);
      const auto pitch = static_cast<intptr_t>(plane.pitch);
      if (first < offset || reads.row_stride != pitch) return false;
      const intptr_t row = (first - offset) / pitch, byte = (first - offset) % pitch;
      return row + reads.rows <= plane.rows &&
             byte + (reads.end - reads.begin) <= static_cast<intptr_t>(plane.row_bytes);
    });
    EXPECT_TRUE(found) << "path " << static_cast<int>(record.path) << ", bytes " << reads.begin
                       << " to " << reads.end << " of " << reads.rows << " rows";
  }
  for (const StagedPlane& plane : planes) {
    EXPECT_EQ(plane.offset % 256, 0u);
    EXPECT_EQ(plane.pitch % 256, 0u);
  }
  return record.path;
}

TEST(Staging, BringsWhateverThePlanReads) {
  const Rect crops[] = {{}, {13, 7, 41, 50}, {64, 1, 70, 3}, {146, 60, 1, 1}, {16, 0, 131, 61}};
  std::set<PreprocessPath> paths;
  for (const Layout& layout : AllLayouts()) {
    for (const bool upside_down : {false, true}) {
      const TestFrame frame = MakeFrame(layout, 147, 61, Noise(6, layout, 147), 5, upside_down);
      for (int orientation = 0; orientation < 8; ++orientation) {
        for (const Rect& crop : crops) {
          SCOPED_TRACE(testing::Message()
                       << layout.name << (upside_down ? " upside down" : "") << " orientation "
                       << orientation << " crop " << crop.x << ", " << crop.y);
          FrameView view = frame.view;
          view.orientation = static_cast<Orientation>(orientation);
          view.crop = crop;
          for (const Fit fit : {Fit::kCrop, Fit::kSquash, Fit::kLetterbox}) {
            paths.insert(
                ExpectReadsAreStaged(view, PlainSpec(24, 8, fit, Interpolation::kBicubic)));
          }
          // So small that tensor cores do not take it.
          paths.insert(
              ExpectReadsAreStaged(view, PlainSpec(2, 1, Fit::kSquash, Interpolation::kBilinear)));
        }
      }
    }
  }
  EXPECT_EQ(paths.size(), 4u);
}

// As videos have them: the widest copies, wherever the crop begins.
TEST(Staging, FramesOfUsualSizesAreReadSixteenBytesAtATime) {
  for (const char* name : {"NV12", "I420", "RGBA", "RGB", "P010_10LE", "GRAY8"}) {
    const Layout& layout = LayoutNamed(name);
    for (const auto& [width, height] :
         {std::pair(1920, 1080), std::pair(1280, 720), std::pair(854, 480), std::pair(719, 575)}) {
      SCOPED_TRACE(testing::Message() << name << " " << width << "x" << height);
      // Only addresses are used.
      const TestFrame frame = MakeFrame(layout, width, height, [](int, int, int) { return 0; });
      for (const Fit fit : {Fit::kCrop, Fit::kSquash}) {
        const PreprocessSpec spec = PlainSpec(224, 32, fit, Interpolation::kBicubic);
        const PreprocessPath path = ExpectReadsAreStaged(frame.view, spec);
        EXPECT_EQ(path, IsPlain8Bit(frame.view) ? PreprocessPath::kExact : PreprocessPath::kTensor);
      }
    }
  }
}

TEST(Staging, ComponentsOfTheSameRowsAreCopiedOnce) {
  const auto planes = [](const char* name) {
    const Layout& layout = LayoutNamed(name);
    const TestFrame frame = MakeFrame(layout, 64, 64, Noise(3, layout, 64));
    return Stage(frame.view, PlainSpec(32, 16, Fit::kCrop, Interpolation::kBicubic), 0)
        .planes.size();
  };
  EXPECT_EQ(planes("RGB"), 1u);
  EXPECT_EQ(planes("YUY2"), 1u);
  EXPECT_EQ(planes("GRAY8"), 1u);
  EXPECT_EQ(planes("NV12"), 2u);
  EXPECT_EQ(planes("I420"), 3u);
}

TEST(Staging, LeavesOutWhatTheCentreCropDoes) {
  const Layout& layout = LayoutNamed("NV12");
  const TestFrame frame = MakeFrame(layout, 1920, 1080, Noise(4, layout, 1920));
  const Staged staged =
      Stage(frame.view, PlainSpec(224, 32, Fit::kCrop, Interpolation::kBicubic), 0);
  size_t bytes = 0;
  for (const StagedPlane& plane : staged.planes) {
    bytes += plane.row_bytes * static_cast<size_t>(plane.rows);
  }
  const double whole = 1920 * 1080 * 1.5, square = 1080 * 1080 * 1.5;
  EXPECT_GE(static_cast<double>(bytes), square);
  EXPECT_LT(static_cast<double>(bytes), square * 1.05) << "filter support and groups of columns";
  EXPECT_LT(static_cast<double>(bytes), whole * 0.6);
}

}  // namespace
}  // namespace cliptag::cuda
