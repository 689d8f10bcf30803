// Frames in CUDA memory on a machine without NVIDIA's driver: refused, whatever the backend, and
// nobody is asked for a CUDA context. tests/cuda/driver has what happens where there is a driver.
#include "plugin/elements/cuda/cuda_frames.h"
#include "tests/elements/cliptag_fixture.h"

namespace cliptag::test {
namespace {

constexpr char kCudaCaps[] =
    "video/x-raw(memory:CUDAMemory),format=NV12,width=16,height=8,framerate=25/1";

class MemoryTest : public ClipTagTest {
 protected:
  void SetUp() override {
    // A module, so that it is the driver that is missing. The fake engine never opens it.
    g_setenv("CLIPTAG_CUDA_MODULE", "/any/module.so", TRUE);
    if (CudaFrames::Available()) GTEST_SKIP() << "this machine has NVIDIA's driver";
    ClipTagTest::SetUp();
  }
  void TearDown() override {
    if (element_ != nullptr) ClipTagTest::TearDown();
  }

  bool Accepts(const char* caps_string) {
    GstPad* pad = gst_element_get_static_pad(element_, "sink");
    GstCaps* caps = gst_caps_from_string(caps_string);
    const bool accepted = gst_pad_query_accept_caps(pad, caps);
    gst_caps_unref(caps);
    gst_object_unref(pad);
    return accepted;
  }

  bool Offers(const char* pad_name) {
    GstPad* pad = gst_element_get_static_pad(element_, pad_name);
    GstCaps* filter = gst_caps_from_string(kCudaCaps);
    GstCaps* caps = gst_pad_query_caps(pad, filter);
    const bool offered = !gst_caps_is_empty(caps);
    gst_caps_unref(caps);
    gst_caps_unref(filter);
    gst_object_unref(pad);
    return offered;
  }
};

TEST_F(MemoryTest, TheTemplateSaysWhatTheBuildKnows) {
  const GstElementClass* klass = GST_ELEMENT_GET_CLASS(element_);
  GstCaps* cuda = gst_caps_from_string(kCudaCaps);
  for (const char* name : {"sink", "src"}) {
    GstPadTemplate* pad =
        gst_element_class_get_pad_template(const_cast<GstElementClass*>(klass), name);
    GstCaps* caps = gst_pad_template_get_caps(pad);
    EXPECT_EQ(gst_caps_can_intersect(caps, cuda), CudaFrames::Formats() != nullptr) << name;
    gst_caps_unref(caps);
  }
  gst_caps_unref(cuda);
}

TEST_F(MemoryTest, WithoutADriverCudaMemoryIsNotOffered) {
  for (const char* backend : {"auto", "cpu", "cuda"}) {
    Set("backend", backend);
    EXPECT_FALSE(Offers("sink")) << backend;
    EXPECT_FALSE(Offers("src")) << backend;
    EXPECT_FALSE(Accepts(kCudaCaps)) << backend;
  }
  const auto warnings = Warnings();
  ASSERT_EQ(warnings.size(), 1u) << "said once";
  EXPECT_NE(warnings[0].find("memory:CUDAMemory"), std::string::npos);
  EXPECT_NE(warnings[0].find("cudadownload"), std::string::npos);
}

TEST_F(MemoryTest, WithoutADriverNobodyIsAskedForAContext) {
  Set("backend", "cuda");
  PlayAndWait();
  EXPECT_TRUE(PopMessages(bus_, GST_MESSAGE_NEED_CONTEXT).empty());
  EXPECT_TRUE(PopMessages(bus_, GST_MESSAGE_HAVE_CONTEXT).empty());
  EXPECT_EQ(Fake().options().backend.cuda_context, nullptr);
  GstQuery* query = gst_query_new_context("gst.cuda.context");
  EXPECT_FALSE(gst_element_query(element_, query));
  gst_query_unref(query);
  GstContext* context = gst_context_new("gst.cuda.context", TRUE);
  gst_element_set_context(element_, context);  // holds nothing: ignored
  gst_context_unref(context);
  Through(0);
  EXPECT_EQ(Fake().seen()[0].view.memory, FrameMemory::kHost);
}

}  // namespace
}  // namespace cliptag::test
