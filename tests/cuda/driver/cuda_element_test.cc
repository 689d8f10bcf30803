// Frames in CUDA memory at the element: when they are taken, in whose context, what the engine gets
// to see of them, and what is refused.
#include "tests/cuda/driver/cuda_element_fixture.h"

namespace cliptag::test {
namespace {

using CudaElement = CudaElementTest;

const std::string kNv12 = CudaCaps("NV12", 30, 20);

TEST_F(CudaElement, TheBackendDecidesWhetherCudaMemoryIsTaken) {
  for (const char* backend : {"auto", "cuda"}) {
    Set("backend", backend);
    EXPECT_TRUE(Offers("sink")) << backend;
    EXPECT_TRUE(Offers("src")) << backend;
    EXPECT_TRUE(Accepts(kNv12)) << backend;
    EXPECT_FALSE(Accepts(CudaCaps("GRAY8", 30, 20))) << "nothing makes such memory";
  }
  EXPECT_TRUE(Warnings().empty());
  Set("backend", "cpu");
  EXPECT_FALSE(Offers("sink"));
  EXPECT_FALSE(Offers("src"));
  EXPECT_FALSE(Accepts(kNv12));
  const auto warnings = Warnings();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("cudadownload"), std::string::npos);
  EXPECT_NE(warnings[0].find("backend=cuda"), std::string::npos);
}

TEST_F(CudaElement, OnceItRunsOnTheCpuCudaMemoryIsRefused) {
  Fake().backend_kind = BackendKind::kCpu;
  PlayAndWait();
  EXPECT_FALSE(Offers("sink"));
  EXPECT_FALSE(Accepts(kNv12));
  EXPECT_FALSE(Warnings().empty());
}

TEST_F(CudaElement, AContextIsAskedForMadeAndShown) {
  PlayAndWait();
  const auto about =
      static_cast<GstMessageType>(int{GST_MESSAGE_NEED_CONTEXT} | int{GST_MESSAGE_HAVE_CONTEXT});
  EXPECT_EQ(PopMessages(bus_, about).size(), 2u);
  EXPECT_EQ(standin::GetDriverCounters().contexts, 1);
  GstCudaContext* context = ElementContext();
  ASSERT_NE(context, nullptr);
  EXPECT_EQ(Fake().options().backend.cuda_context, gst_cuda_context_get_handle(context));
  EXPECT_TRUE(Accepts(kNv12));
}

TEST_F(CudaElement, TheApplicationsContextIsTaken) {
  GstContext* context = gst_context_new_cuda_context(Other(0));
  gst_element_set_context(element_, context);
  gst_context_unref(context);
  PlayAndWait();
  EXPECT_EQ(ElementContext(), other_);
  EXPECT_EQ(Fake().options().backend.cuda_context, gst_cuda_context_get_handle(other_));
  EXPECT_TRUE(PopMessages(bus_, GST_MESSAGE_NEED_CONTEXT).empty());
}

TEST_F(CudaElement, AContextOfAnotherDeviceIsNot) {
  GstContext* context = gst_context_new_cuda_context(Other(1));
  gst_element_set_context(element_, context);
  PlayAndWait();
  EXPECT_NE(ElementContext(), other_);
  guint device = 9;
  g_object_get(ElementContext(), "cuda-device-id", &device, nullptr);
  EXPECT_EQ(device, 0u);
  gst_element_set_state(element_, GST_STATE_READY);
  Set("device", "1");
  gst_element_set_context(element_, context);
  gst_context_unref(context);
  gst_element_set_state(element_, GST_STATE_PAUSED);
  EXPECT_EQ(ElementContext(), other_);
}

TEST_F(CudaElement, WhereNoCudaFrameCanComeNoContextIsMade) {
  GstElement* source = gst_element_factory_make("capsfilter", nullptr);
  gst_util_set_object_arg(G_OBJECT(source), "caps", "video/x-raw,format=NV12");
  gst_object_ref_sink(source);
  ASSERT_TRUE(gst_element_link(source, element_));
  gst_element_set_state(element_, GST_STATE_PAUSED);
  EXPECT_EQ(standin::GetDriverCounters().contexts, 0);
  EXPECT_EQ(Fake().options().backend.cuda_context, nullptr);
  gst_element_set_state(element_, GST_STATE_NULL);
  gst_element_unlink(source, element_);
  gst_object_unref(source);
}

TEST_F(CudaElement, FramesAreReadInPlaceAndPassUntouched) {
  Play(kNv12);
  GstBuffer* buffer = CudaFrame(ElementContext(), kNv12, 0);
  const GstVideoMeta* meta = gst_buffer_get_video_meta(buffer);
  const gsize chroma = meta->offset[1];
  const gint stride = meta->stride[0];
  EXPECT_GT(stride, 30) << "rows are padded, or this tests nothing";
  const GstMemory* memory = gst_buffer_peek_memory(buffer, 0);
  const uint8_t* address = AddressOf(buffer);
  ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
  const BufferHolder out = Pull();
  EXPECT_EQ(gst_buffer_peek_memory(out.get(), 0), memory);
  EXPECT_NE(MetaOf(out.get()), nullptr);
  ASSERT_EQ(Fake().seen().size(), 1u);
  const FrameView view = Fake().seen()[0].view;
  EXPECT_EQ(view.memory, FrameMemory::kCuda);
  EXPECT_EQ(view.cuda_stream, nullptr);
  EXPECT_EQ(view.component[0].data, address);
  EXPECT_EQ(view.component[1].data, address + chroma);
  EXPECT_EQ(view.component[2].data, address + chroma + 1);
  EXPECT_EQ(view.component[0].row_stride, stride);
  EXPECT_EQ(view.component[1].pixel_stride, 2);
  EXPECT_TRUE(Warnings().empty());
}

TEST_F(CudaElement, TheMemoryKnowsItsRowsWhereTheBufferDoesNot) {
  Play(kNv12);
  const BufferHolder described(CudaFrame(ElementContext(), kNv12, 0));
  const GstVideoMeta* meta = gst_buffer_get_video_meta(described.get());
  const gint stride = meta->stride[1];
  const gsize chroma = meta->offset[1];
  GstBuffer* buffer = gst_buffer_new();
  gst_buffer_append_memory(buffer, gst_buffer_get_memory(described.get(), 0));
  const uint8_t* address = AddressOf(buffer);
  ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
  Pull();
  ASSERT_EQ(Fake().seen().size(), 1u);
  EXPECT_EQ(Fake().seen()[0].view.component[1].data, address + chroma);
  EXPECT_EQ(Fake().seen()[0].view.component[1].row_stride, stride);
}

// Frames that cannot be read pass without tags, with one warning.
class CudaElementRefusal : public CudaElementTest {
 protected:
  std::string WarningFor(GstBuffer* first, GstBuffer* second) {
    const GstMemory* memory = gst_buffer_peek_memory(first, 0);
    EXPECT_EQ(gst_harness_push(harness_, first), GST_FLOW_OK);
    const BufferHolder out = Pull();
    EXPECT_EQ(gst_buffer_peek_memory(out.get(), 0), memory);
    EXPECT_EQ(MetaOf(out.get()), nullptr);
    EXPECT_EQ(gst_harness_push(harness_, second), GST_FLOW_OK);
    Pull();
    const auto warnings = Warnings();
    EXPECT_EQ(warnings.size(), 1u);
    EXPECT_TRUE(Fake().seen().empty());
    return warnings.empty() ? "" : warnings[0];
  }
};

TEST_F(CudaElementRefusal, FramesOfAnotherContext) {
  Play(kNv12);
  Other(0);
  EXPECT_NE(WarningFor(CudaFrame(other_, kNv12, 0), CudaFrame(other_, kNv12, 1)).find("context"),
            std::string::npos);
}

TEST_F(CudaElementRefusal, FramesOnAnotherDevice) {
  Play(kNv12);
  Other(1);
  EXPECT_NE(WarningFor(CudaFrame(other_, kNv12, 0), CudaFrame(other_, kNv12, 1)).find("device=1"),
            std::string::npos);
}

TEST_F(CudaElementRefusal, OrdinaryMemoryUnderCapsOfCudas) {
  Play(kNv12);
  EXPECT_NE(WarningFor(MakeFrame(0, 1024), MakeFrame(1, 1024)).find("caps promise"),
            std::string::npos);
}

TEST_F(CudaElementRefusal, PlanesBeyondTheMemory) {
  Play(kNv12);
  const auto frame = [&](guint64 n) {
    GstBuffer* buffer = CudaFrame(ElementContext(), kNv12, n);
    GstVideoMeta* meta = gst_buffer_get_video_meta(buffer);
    const gsize last_row = gst_buffer_get_size(buffer) - 29;  // one byte less than it has
    meta->offset[1] = last_row - 9 * static_cast<gsize>(meta->stride[1]);
    return buffer;
  };
  const std::string warning = WarningFor(frame(0), frame(1));
  EXPECT_NE(warning.find("beyond"), std::string::npos) << warning;
}

TEST_F(CudaElement, ProposesAPoolInItsContextWhereDownstreamHasNone) {
  Play(kNv12);
  GstCaps* caps = gst_caps_from_string(kNv12.c_str());
  GstQuery* query = gst_query_new_allocation(caps, TRUE);
  ASSERT_TRUE(gst_pad_peer_query(harness_->srcpad, query));
  ASSERT_EQ(gst_query_get_n_allocation_pools(query), 1u);
  GstBufferPool* pool = nullptr;
  guint size = 0, min = 0, max = 0;
  gst_query_parse_nth_allocation_pool(query, 0, &pool, &size, &min, &max);
  ASSERT_TRUE(GST_IS_CUDA_BUFFER_POOL(pool));
  EXPECT_EQ(GST_CUDA_BUFFER_POOL(pool)->context, ElementContext());
  EXPECT_GT(size, 30u * 20 * 3 / 2) << "padded rows";
  EXPECT_GT(min, 0u) << "for those that are held";
  gst_object_unref(pool);
  gst_query_unref(query);
  gst_caps_unref(caps);
}

TEST_F(CudaElement, ThePoolThatDownstreamProposesStays) {
  Play(kNv12);
  Other(0);
  GstBufferPool* theirs = gst_cuda_buffer_pool_new(other_);
  gst_harness_set_propose_allocator(harness_, nullptr, nullptr);
  gst_pad_set_query_function(
      harness_->sinkpad, [](GstPad* pad, GstObject* parent, GstQuery* query) -> gboolean {
        if (GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION) {
          return gst_pad_query_default(pad, parent, query);
        }
        auto* pool = static_cast<GstBufferPool*>(g_object_get_data(G_OBJECT(pad), "pool"));
        gst_query_add_allocation_pool(query, pool, 4096, 0, 0);
        return TRUE;
      });
  g_object_set_data(G_OBJECT(harness_->sinkpad), "pool", theirs);
  GstCaps* caps = gst_caps_from_string(kNv12.c_str());
  GstQuery* query = gst_query_new_allocation(caps, TRUE);
  ASSERT_TRUE(gst_pad_peer_query(harness_->srcpad, query));
  GstBufferPool* pool = nullptr;
  guint size = 0, min = 0;
  gst_query_parse_nth_allocation_pool(query, 0, &pool, &size, &min, nullptr);
  EXPECT_EQ(pool, theirs);
  EXPECT_GT(min, 0u);
  gst_object_unref(pool);
  gst_query_unref(query);
  gst_caps_unref(caps);
  gst_object_unref(theirs);
}

}  // namespace
}  // namespace cliptag::test
