// The built plugin with the starter model, in pipelines as users write them.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "plugin/gst/frame_view.h"
#include "tests/elements/gst_test.h"
#include "tests/elements/run_pipeline.h"

static const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new cliptag::test::GstEnvironment());

namespace cliptag::test {
namespace {

const std::string kPrompts =
    "cliptag name=tag scoring=softmax prompts=\"a ball; a car; a dog; a house\"";

// The ball of the test pattern, in that format.
std::string BallIn(const std::string& format, int frames = 4) {
  return "videotestsrc pattern=ball num-buffers=" + std::to_string(frames) +
         " ! video/x-raw,format=ARGB,width=160,height=160,framerate=30/1 ! videoconvert ! "
         "video/x-raw,format=" +
         format + " ! " + kPrompts + " ! fakesink";
}

TEST(Plugin, EveryFormatGivesTheSameTopTag) {
  const RunResult reference = RunPipeline(BallIn("RGB"));
  ASSERT_TRUE(reference.eos) << reference.error;
  ASSERT_EQ(reference.frames.size(), 4u);
  const TagResult& rgb = reference.frames.back();
  EXPECT_EQ(rgb.best, "a ball");
  guint count = 0;
  const GstVideoFormat* formats = gst_video_formats_raw(&count);
  int checked = 0;
  for (guint i = 0; i < count; ++i) {
    if (!FormatIsSupported(gst_video_format_get_info(formats[i]))) continue;
    SCOPED_TRACE(gst_video_format_to_string(formats[i]));
    const RunResult run = RunPipeline(BallIn(gst_video_format_to_string(formats[i])));
    ASSERT_TRUE(run.eos) << run.error;
    EXPECT_TRUE(run.warnings.empty());
    ASSERT_EQ(run.frames.size(), 4u);
    EXPECT_EQ(run.frames.back().best, rgb.best);
    EXPECT_TRUE(std::fabs(run.frames.back().cosine - rgb.cosine) <= 0.02)
        << run.frames.back().cosine << " and in RGB " << rgb.cosine;
    ++checked;
  }
  EXPECT_GE(checked, 50);
}

// The same scene as a film of SDR and as one of HDR10 (PQ, BT.2020, 10 bits).
TEST(Plugin, HdrGivesWhatSdrGives) {
  GstElementFactory* decoder = gst_element_factory_find("avdec_h265");
  if (decoder == nullptr) GTEST_SKIP() << "avdec_h265 is not installed";
  gst_object_unref(decoder);
  const auto run = [](const std::string& file, const std::string& between) {
    return RunPipeline("filesrc location=\"" + std::string(std::getenv("CLIPTAG_DATA")) +
                       "/video/" + file + "\" ! decodebin ! " + between +
                       "cliptag attach-embedding=true prompts=\"automobile; soccer ball; fire\" "
                       "templates=\"an emoji of a {}.\" ! "
                       "fakesink");
  };
  const RunResult sdr = run("car_sdr.mp4", "");
  ASSERT_TRUE(sdr.eos) << sdr.error;
  ASSERT_EQ(sdr.frames.size(), 4u);
  EXPECT_EQ(sdr.frames[0].best, "automobile");
  EXPECT_GT(sdr.frames[0].score, 0.99);
  // 8 bits of PQ as well, packed RGB among them.
  for (const char* between :
       {"", "videoconvert ! video/x-raw,format=P010_10LE,colorimetry=bt2100-pq ! ",
        "videoconvert ! video/x-raw,format=NV12,colorimetry=bt2100-pq ! ",
        "videoconvert ! video/x-raw,format=RGB,colorimetry=(string)1:1:14:7 ! "}) {
    SCOPED_TRACE(between);
    const RunResult hdr = run("car_hdr10.mp4", between);
    ASSERT_TRUE(hdr.eos) << hdr.error;
    ASSERT_EQ(hdr.frames.size(), 4u);
    for (size_t i = 0; i < hdr.frames.size(); ++i) {
      EXPECT_EQ(hdr.frames[i].best, "automobile");
      EXPECT_NEAR(hdr.frames[i].score, sdr.frames[i].score, 0.005);
      EXPECT_NEAR(hdr.frames[i].cosine, sdr.frames[i].cosine, 0.02);
      double cosine = 0;
      for (size_t d = 0; d < sdr.frames[i].embedding.size(); ++d) {
        cosine += static_cast<double>(sdr.frames[i].embedding[d]) * hdr.frames[i].embedding[d];
      }
      EXPECT_GT(cosine, 0.98);
    }
  }
}

// GStreamer's own conversion to the primaries of BT.2020, and ours back.
TEST(Plugin, PrimariesOfBt2020AreConverted) {
  const std::string source =
      "videotestsrc pattern=smpte num-buffers=1 ! video/x-raw,format=Y444,width=224,height=224,"
      "framerate=30/1,colorimetry=bt709 ! ";
  const std::string tag = "cliptag attach-embedding=true prompts=\"a ball; a car\" ! fakesink";
  const RunResult narrow = RunPipeline(source + tag);
  const RunResult wide = RunPipeline(source +
                                     "videoconvert primaries-mode=fast gamma-mode=remap ! "
                                     "video/x-raw,format=Y444_10LE,colorimetry=bt2020-10 ! " +
                                     tag);
  ASSERT_TRUE(narrow.eos && wide.eos) << narrow.error << wide.error;
  ASSERT_EQ(narrow.frames.size(), 1u);
  ASSERT_EQ(wide.frames.size(), 1u);
  double cosine = 0;
  for (size_t d = 0; d < narrow.frames[0].embedding.size(); ++d) {
    cosine += static_cast<double>(narrow.frames[0].embedding[d]) * wide.frames[0].embedding[d];
  }
  EXPECT_GT(cosine, 0.995);
}

TEST(Plugin, EverySizeFromOnePixelOn) {
  for (const char* size : {"width=1,height=1", "width=3,height=5", "width=1,height=4000",
                           "width=161,height=77", "width=8192,height=8192"}) {
    for (const char* format : {"I420", "RGB", "GRAY8", "YUY2"}) {
      const bool large = std::string(size).find("8192") != std::string::npos;
      if (large && std::string(format) != "I420") continue;  // seconds to draw, each
      SCOPED_TRACE(std::string(format) + " " + size);
      const RunResult run =
          RunPipeline(std::string("videotestsrc pattern=red num-buffers=1 ! video/x-raw,format=") +
                      format + "," + size + " ! " + kPrompts + " ! cliptagoverlay ! fakesink");
      EXPECT_TRUE(run.eos) << run.error;
      EXPECT_EQ(run.frames.size(), 1u);
      EXPECT_TRUE(run.warnings.empty());
    }
  }
}

// The embedding of an unsymmetric picture that is not square either, tagged with `orientation` and
// sent through `middle`.
std::vector<float> EmbeddingOf(const std::string& orientation, const std::string& middle) {
  const RunResult run = RunPipeline(
      "videotestsrc pattern=smpte num-buffers=2 ! video/x-raw,format=RGB,width=200,height=136 ! "
      "taginject tags=\"image-orientation=" +
      orientation + "\" ! " + middle + kPrompts + " attach-embedding=true ! fakesink");
  EXPECT_TRUE(run.eos) << run.error;
  return run.frames.empty() ? std::vector<float>() : run.frames.back().embedding;
}

double Dot(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.empty() || a.size() != b.size()) return std::nan("");
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

TEST(Plugin, OrientationTagIsWorthWhatVideoflipMakes) {
  const std::map<std::string, std::string> directions = {
      {"rotate-90", "90r"},        {"rotate-180", "180"},       {"rotate-270", "90l"},
      {"flip-rotate-0", "horiz"},  {"flip-rotate-90", "ur-ll"}, {"flip-rotate-180", "vert"},
      {"flip-rotate-270", "ul-lr"}};
  const std::vector<float> untouched = EmbeddingOf("rotate-0", "");
  for (const auto& [orientation, direction] : directions) {
    const std::vector<float> tagged = EmbeddingOf(orientation, "");
    const std::vector<float> turned =
        EmbeddingOf("rotate-0", "videoflip video-direction=" + direction + " ! ");
    const double same = Dot(tagged, turned), other = Dot(tagged, untouched);
    EXPECT_TRUE(same >= 0.9999) << orientation << ": " << same;
    EXPECT_TRUE(other < 0.999) << orientation << " changes nothing: " << other;
  }
}

TEST(Plugin, WhatAnElementBeforeHasTurnedIsNotTurnedAgain) {
  const std::vector<float> tagged = EmbeddingOf("rotate-90", "");
  for (const char* middle :
       {"videoflip video-direction=auto ! ", "videoflip video-direction=90r ! ",
        "videoflip video-direction=auto ! queue ! videoconvert ! ",
        "( videoflip video-direction=auto ! identity ) ! "}) {
    const double same = Dot(tagged, EmbeddingOf("rotate-90", middle));
    EXPECT_TRUE(same >= 0.9999) << middle << same;
  }
  // Turned otherwise than the tag asks: what it asks for is still to be done.
  const double other = Dot(tagged, EmbeddingOf("rotate-90", "videoflip video-direction=180 ! "));
  EXPECT_TRUE(other < 0.999) << other;
}

TEST(Plugin, OrientationMayBeSaid) {
  const std::vector<float> plain = EmbeddingOf("rotate-0", "");
  const auto said = [](const std::string& tag, const std::string& orientation) {
    const RunResult run = RunPipeline(
        "videotestsrc pattern=smpte num-buffers=2 ! video/x-raw,format=RGB,width=200,height=136 ! "
        "taginject tags=\"image-orientation=" +
        tag + "\" ! " + kPrompts + " attach-embedding=true orientation=" + orientation +
        " ! fakesink");
    EXPECT_TRUE(run.eos) << run.error;
    return run.frames.empty() ? std::vector<float>() : run.frames.back().embedding;
  };
  EXPECT_TRUE(Dot(said("rotate-90", "none"), plain) >= 0.9999) << "the tag is not looked at";
  for (const char* orientation : {"rotate-90", "flip-rotate-0"}) {
    const std::vector<float> tagged = EmbeddingOf(orientation, "");
    EXPECT_TRUE(Dot(said("rotate-0", orientation), tagged) >= 0.9999) << orientation;
    EXPECT_TRUE(Dot(said("rotate-180", orientation), tagged) >= 0.9999) << orientation;
  }
}

TEST(Plugin, ErrorsAreSentencesThatNameWhatIsWrong) {
  const std::string source = "videotestsrc num-buffers=1 ! ";
  EXPECT_NE(RunPipeline(source + "cliptag prompts=a model=no-such-model ! fakesink")
                .error.find("no-such-model"),
            std::string::npos);
  EXPECT_NE(RunPipeline(source + "cliptag prompts=a model=/nonexistent/model ! fakesink")
                .error.find("/nonexistent/model"),
            std::string::npos);
  EXPECT_NE(RunPipeline(source + "cliptag ! fakesink").error.find("prompts"), std::string::npos);
  EXPECT_NE(RunPipeline(source + "cliptag prompts=a templates=\"no place\" ! fakesink")
                .error.find("no place"),
            std::string::npos);
  EXPECT_FALSE(RunPipeline(source + "cliptag prompts=a backend=cuda ! fakesink").error.empty());
}

TEST(Plugin, MemoryOfADeviceCannotBeLinked) {
  for (const char* memory : {"DMABuf", "VAMemory", "GLMemory", "CUDAMemory"}) {
    GError* error = nullptr;
    GstElement* pipeline = gst_parse_launch((std::string("appsrc ! video/x-raw(memory:") + memory +
                                             ") ! cliptag backend=cpu ! fakesink")
                                                .c_str(),
                                            &error);
    EXPECT_NE(error, nullptr) << memory;
    g_clear_error(&error);
    if (pipeline != nullptr) gst_object_unref(pipeline);
  }
}

TEST(Plugin, SeeksAndStateCycles) {
  const PipelinePtr pipeline =
      Parse("videotestsrc num-buffers=3000 ! video/x-raw,width=64,height=64 ! " + kPrompts +
            " ! cliptagoverlay ! fakesink sync=false name=sink");
  for (int i = 0; i < 10; ++i) {
    ASSERT_NE(gst_element_set_state(pipeline.get(), GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
    ASSERT_EQ(gst_element_get_state(pipeline.get(), nullptr, nullptr, 20 * GST_SECOND),
              GST_STATE_CHANGE_SUCCESS);
    for (int seek = 0; seek < 5; ++seek) {
      EXPECT_TRUE(gst_element_seek_simple(pipeline.get(), GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                          static_cast<gint64>(seek) * GST_SECOND));
    }
    ASSERT_NE(gst_element_set_state(pipeline.get(), i % 2 ? GST_STATE_NULL : GST_STATE_READY),
              GST_STATE_CHANGE_FAILURE);
  }
}

TEST(Plugin, AVideoFileThatIsInterlacedOrHasOddSizesPasses) {
  const RunResult run = RunPipeline(
      "videotestsrc pattern=ball num-buffers=6 ! video/x-raw,width=161,height=121,framerate=30/1 "
      "! interlace field-pattern=1:1 ! " +
      kPrompts + " ! fakesink");
  EXPECT_TRUE(run.eos) << run.error;
  EXPECT_GE(run.frames.size(), 2u);
}

// What costs a frame that is not looked at: a hundredth of a millisecond or two, whatever its size.
TEST(Plugin, PassingThroughCostsNothing) {
  GstHarness* harness =
      gst_harness_new_parse("cliptag prompts=a interval=1000000 post-messages=false");
  gst_harness_set_src_caps_str(harness, CapsOf("I420", 1920, 1080).c_str());
  GstBuffer* frame = gst_buffer_new_allocate(nullptr, 1920 * 1080 * 3 / 2, nullptr);
  std::vector<double> microseconds;
  for (int i = 0; i < 2000; ++i) {
    GstBuffer* buffer = gst_buffer_copy(frame);
    const auto start = std::chrono::steady_clock::now();
    ASSERT_EQ(gst_harness_push(harness, buffer), GST_FLOW_OK);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    if (i > 0) microseconds.push_back(took.count());
    gst_buffer_unref(gst_harness_pull(harness));
  }
  gst_buffer_unref(frame);
  gst_harness_teardown(harness);
  std::nth_element(microseconds.begin(), microseconds.begin() + 1000, microseconds.end());
  RecordProperty("median_us", std::to_string(microseconds[1000]));
  EXPECT_LE(microseconds[1000], 50) << "microseconds, median, sink included";
}

// GStreamer's own tracer, in a process of its own, since it must be there from the start.
TEST(Plugin, LeaksNothing) {
  gchar* tool = g_find_program_in_path("gst-launch-1.0");
  if (tool == nullptr) GTEST_SKIP() << "gst-launch-1.0 is not installed";
  g_free(tool);
  gchar** environment = g_get_environ();
  environment = g_environ_setenv(environment, "GST_TRACERS", "leaks", TRUE);
  environment = g_environ_setenv(environment, "GST_DEBUG", "GST_TRACER:7", TRUE);
  environment = g_environ_setenv(environment, "GST_DEBUG_NO_COLOR", "1", TRUE);
  if (const char* preload = std::getenv("CLIPTAG_PRELOAD"); preload != nullptr) {
    environment = g_environ_setenv(environment, "LD_PRELOAD", preload, TRUE);
  }
  const std::string command =
      "gst-launch-1.0 -q videotestsrc num-buffers=20 ! video/x-raw,width=320,height=240 ! "
      "cliptag interval=2 attach-embedding=true prompts=\"a;b\" ! cliptagoverlay ! fakesink";
  gchar** arguments = nullptr;
  ASSERT_TRUE(g_shell_parse_argv(command.c_str(), nullptr, &arguments, nullptr));
  gchar *out = nullptr, *err = nullptr;
  gint status = -1;
  GError* error = nullptr;
  EXPECT_TRUE(g_spawn_sync(nullptr, arguments, environment, G_SPAWN_SEARCH_PATH, nullptr, nullptr,
                           &out, &err, &status, &error))
      << error->message;
  EXPECT_EQ(status, 0) << err;
  // A line for each object that is left, in between the tracer's own announcements of its formats.
  EXPECT_FALSE(g_regex_match_simple("object-alive, type-name=\\(string\\)\\w", err,
                                    static_cast<GRegexCompileFlags>(0),
                                    static_cast<GRegexMatchFlags>(0)))
      << err;
  g_strfreev(arguments);
  g_strfreev(environment);
  g_free(out);
  g_free(err);
}

}  // namespace
}  // namespace cliptag::test
