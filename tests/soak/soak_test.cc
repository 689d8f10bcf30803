// The element for a long time, and again and again: the memory at the end is that of the beginning.
//
// In a few seconds unless the environment asks for more (tests/soak/run.sh does):
//   CLIPTAG_SOAK_CYCLES=1000   starts and stops
//   CLIPTAG_SOAK_MINUTES=30    of 16 streams faster than real time
//   CLIPTAG_SOAK_CSV=PREFIX    writes PREFIX-cycles.csv and PREFIX-streams.csv, a line a second
//
// What is compared is anonymous memory, the heap and not the files that are mapped. It may be
// kToleranceMb more at the end: glibc's arenas, one for every few threads, come to their size late.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "tests/elements/run_pipeline.h"
#include "tests/sanitized.h"
#include "tests/soak/memory_curve.h"

static const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new cliptag::test::GstEnvironment());

namespace cliptag::test {
namespace {

constexpr double kToleranceMb = 8;
constexpr int kStreams = kSanitized ? 4 : 16;

double Asked(const char* name, double otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0' ? std::atof(text) : otherwise;
}

std::string CsvOf(const char* name) {
  const char* prefix = std::getenv("CLIPTAG_SOAK_CSV");
  return prefix != nullptr && *prefix != '\0' ? std::string(prefix) + "-" + name + ".csv" : "";
}

// Half of the time to warm up, if it is short; a minute of it else.
void ExpectTheMemoryOfTheBeginning(const MemoryCurve& curve) {
  const double seconds = curve.samples().back().seconds;
  const double warm = seconds > 240 ? 60 / seconds : 0.5;
  const double end = seconds > 240 ? 120 / seconds : 0.75;
  const auto first = curve.Between(warm, end), last = curve.Between(0.9, 1);
  std::printf("%s  %.1f MB after the start, %.1f MB at the end\n", curve.Drawn().c_str(),
              first.mean_mb, last.mean_mb);
  if (!kSanitized) {
    EXPECT_LE(last.mean_mb, first.most_mb + kToleranceMb);
  }
}

// Plays to the end of a few frames and stops.
void Cycle(GstElement* pipeline) {
  GstBus* bus = gst_element_get_bus(pipeline);
  ASSERT_NE(gst_element_set_state(pipeline, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
  const MessagePtr message(gst_bus_timed_pop_filtered(
      bus, 60 * GST_SECOND,
      static_cast<GstMessageType>(int{GST_MESSAGE_EOS} | int{GST_MESSAGE_ERROR})));
  gst_object_unref(bus);
  ASSERT_NE(message, nullptr);
  EXPECT_EQ(GST_MESSAGE_TYPE(message.get()), GST_MESSAGE_EOS) << TextOf(message.get());
  gst_element_set_state(pipeline, GST_STATE_NULL);
}

TEST(Soak, StartsAndStops) {
  const int cycles = static_cast<int>(Asked("CLIPTAG_SOAK_CYCLES", kSanitized ? 4 : 60));
  const std::string launch =
      "videotestsrc num-buffers=3 ! video/x-raw,format=NV12,width=320,height=240 ! cliptag "
      "prompts=\"ball; car\" ! fakesink";
  const bool is_long = cycles >= 500;
  MemoryCurve curve(is_long ? 1 : 0.02, CsvOf("cycles"));
  const PipelinePtr kept = Parse(launch);
  for (int i = 0; i < cycles; ++i) {
    // The same element again, and a new one.
    Cycle(i % 2 == 0 ? kept.get() : Parse(launch).get());
    ASSERT_FALSE(testing::Test::HasFailure()) << "cycle " << i;
  }
  ExpectTheMemoryOfTheBeginning(curve);
}

TEST(Soak, StreamsFasterThanRealTime) {
  const double minutes = Asked("CLIPTAG_SOAK_MINUTES", kSanitized ? 0.03 : 0.2);
  std::vector<std::unique_ptr<std::atomic<guint64>>> frames;
  std::vector<PipelinePtr> pipelines;  // after what they count in
  for (int i = 0; i < kStreams; ++i) {
    // One picture, drawn once: the element is what is to be busy.
    pipelines.push_back(
        Parse("videotestsrc pattern=red ! video/x-raw,format=NV12,width=320,height=240,"
              "framerate=25/1 ! cliptag name=tag prompts=\"ball; car\" interval=5 mode=exact ! "
              "fakesink name=sink"));
    frames.push_back(std::make_unique<std::atomic<guint64>>(0));
    GstElement* sink = gst_bin_get_by_name(GST_BIN(pipelines.back().get()), "sink");
    GstPad* pad = gst_element_get_static_pad(sink, "sink");
    gst_pad_add_probe(
        pad, GST_PAD_PROBE_TYPE_BUFFER,
        [](GstPad*, GstPadProbeInfo*, gpointer count) {
          ++*static_cast<std::atomic<guint64>*>(count);
          return GST_PAD_PROBE_OK;
        },
        frames.back().get(), nullptr);
    gst_object_unref(pad);
    gst_object_unref(sink);
  }
  MemoryCurve curve(minutes >= 2 ? 1 : 0.1, CsvOf("streams"));
  for (const PipelinePtr& pipeline : pipelines) {
    ASSERT_NE(gst_element_set_state(pipeline.get(), GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(60 * minutes);
  for (int turn = 0; std::chrono::steady_clock::now() < end; ++turn) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    // Whatever an application does meanwhile: new prompts, a look at the numbers, a seek.
    GstElement* pipeline = pipelines[static_cast<size_t>(turn) % pipelines.size()].get();
    GstElement* tag = gst_bin_get_by_name(GST_BIN(pipeline), "tag");
    g_object_set(tag, "prompts", turn % 2 == 0 ? "ball; car" : "ball; dog; car", nullptr);
    GstStructure* stats = nullptr;
    g_object_get(tag, "stats", &stats, nullptr);
    ASSERT_NE(stats, nullptr);
    gst_structure_free(stats);
    gst_object_unref(tag);
    if (turn % 10 == 9) {
      EXPECT_TRUE(gst_element_seek_simple(pipeline, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, 0));
    }
    // Nobody else takes the messages, and the bus would keep them all.
    for (const PipelinePtr& each : pipelines) {
      GstBus* bus = gst_element_get_bus(each.get());
      for (const MessagePtr& message : PopMessages(bus, GST_MESSAGE_ANY)) {
        EXPECT_NE(GST_MESSAGE_TYPE(message.get()), GST_MESSAGE_ERROR) << TextOf(message.get());
      }
      gst_object_unref(bus);
    }
  }
  guint64 sum = 0;
  for (const auto& count : frames) {
    EXPECT_GT(*count, 0u);
    sum += *count;
  }
  std::printf("%d streams, %.0f frames a second each, where 25 are real time\n", kStreams,
              static_cast<double>(sum) / (60 * minutes * kStreams));
  ExpectTheMemoryOfTheBeginning(curve);
}

TEST(MemoryCurve, SeesMemoryThatGrows) {
  if (kSanitized) GTEST_SKIP() << "memory of its own";
  MemoryCurve curve(0.01, "");
  ASSERT_TRUE(WaitFor([&] { return curve.samples().size() > 20; }));
  const size_t before = curve.samples().size();
  std::vector<char> held(size_t{64} << 20, 1);
  ASSERT_TRUE(WaitFor([&] { return curve.samples().size() > 2 * before; }));
  EXPECT_GT(curve.Between(0.9, 1).mean_mb, curve.Between(0, 0.1).mean_mb + 50 * held[0]);
  EXPECT_NE(curve.Drawn().find('#'), std::string::npos);
}

}  // namespace
}  // namespace cliptag::test
