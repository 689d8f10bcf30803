// Whole pipelines with GStreamer's own CUDA elements, the built plugin and the CUDA backend, all
// over the stand-ins: what a GPU machine does, in CI.
#include <cmath>

#include "tests/cuda/driver/driver.h"
#include "tests/cuda/standin/control.h"
#include "tests/elements/gst_test.h"
#include "tests/elements/run_pipeline.h"

static const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new cliptag::test::GstEnvironment());

namespace cliptag::test {
namespace {

std::string Launch(const std::string& format, const std::string& before, const std::string& backend,
                   const std::string& after) {
  return "videotestsrc pattern=ball num-buffers=2 ! video/x-raw,format=" + format +
         ",width=150,height=90,framerate=25/1 ! " + before +
         "cliptag scoring=softmax backend=" + backend +
         " max-batch=1 prompts=\"a ball; a car\" background=\"a wall\" ! " + after + "fakesink";
}

class CudaPipeline : public ::testing::Test {
 protected:
  void SetUp() override {
    // Made, so that its plugin is loaded now: it makes a context of its own to look around.
    GstElement* upload = gst_element_factory_make("cudaupload", nullptr);
    if (upload == nullptr) GTEST_SKIP() << "GStreamer's plugin nvcodec is not installed";
    gst_object_unref(gst_object_ref_sink(upload));
    contexts_before_ = standin::GetDriverCounters().contexts_made;
  }
  void TearDown() override {
    for (const std::string& problem : standin::TakeDriverProblems()) ADD_FAILURE() << problem;
    for (const std::string& problem : standin::TakeProblems()) ADD_FAILURE() << problem;
    EXPECT_EQ(standin::GetDriverCounters().contexts, 0) << "someone still holds a context";
  }
  int64_t ContextsMade() const {
    return standin::GetDriverCounters().contexts_made - contexts_before_;
  }

  int64_t contexts_before_ = 0;
};

void ExpectSameTags(const RunResult& got, const RunResult& expected, double tolerance) {
  ASSERT_TRUE(expected.eos) << expected.error;
  ASSERT_TRUE(got.eos) << got.error;
  EXPECT_TRUE(got.warnings.empty()) << got.warnings[0];
  ASSERT_EQ(got.frames.size(), 2u);
  ASSERT_EQ(expected.frames.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(got.frames[i].best, expected.frames[i].best);
    EXPECT_TRUE(std::fabs(got.frames[i].cosine - expected.frames[i].cosine) <= tolerance)
        << got.frames[i].cosine << " " << expected.frames[i].cosine;
  }
}

TEST_F(CudaPipeline, FramesInCudaMemoryGiveTheTagsOfThoseInOrdinaryMemory) {
  const RunResult cuda = RunPipeline(Launch("NV12", "cudaupload ! ", "cuda", "cudadownload ! "));
  EXPECT_EQ(ContextsMade(), 1) << "all three share one";
  // The same kernels on the same samples: nothing but the way to the device differs.
  ExpectSameTags(cuda, RunPipeline(Launch("NV12", "", "cuda", "")), 1e-6);
  EXPECT_EQ(ContextsMade(), 1) << "none where no frame can be in CUDA memory";
  // Half precision against float.
  ExpectSameTags(cuda, RunPipeline(Launch("NV12", "", "cpu", "")), 5e-3);
}

TEST_F(CudaPipeline, WithoutAnyoneDownstreamWhoKnowsCuda) {
  const RunResult cuda = RunPipeline(Launch("RGBA", "cudaupload ! ", "cuda", ""));
  ExpectSameTags(cuda, RunPipeline(Launch("RGBA", "", "cpu", "")), 5e-3);
}

TEST_F(CudaPipeline, OnTheCpuFramesComeDownByThemselves) {
  // cudadownload hands CUDA memory on under ordinary caps: mapping it brings it down.
  const RunResult run = RunPipeline(Launch("NV12", "cudaupload ! cudadownload ! ", "cpu", ""));
  ASSERT_TRUE(run.eos) << run.error;
  EXPECT_EQ(run.frames.size(), 2u);
}

TEST_F(CudaPipeline, OnTheCpuCudaMemoryIsNotLinked) {
  GError* error = nullptr;
  GstElement* pipeline = gst_parse_launch(
      "videotestsrc ! cudaupload ! video/x-raw(memory:CUDAMemory) ! "
      "cliptag backend=cpu prompts=a ! fakesink",
      &error);
  EXPECT_NE(error, nullptr);
  g_clear_error(&error);
  if (pipeline != nullptr) gst_object_unref(pipeline);
}

}  // namespace
}  // namespace cliptag::test
