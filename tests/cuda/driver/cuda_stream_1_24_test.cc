// From GStreamer 1.24 on memory may be handed on while a CUDA stream still fills it.
#include <gst/cuda/gstcudastream.h>

#include "tests/cuda/driver/cuda_element_fixture.h"

namespace cliptag::test {
namespace {

using CudaStreamTest = CudaElementTest;

const std::string kNv12 = CudaCaps("NV12", 30, 20);

TEST_F(CudaStreamTest, TheEngineLearnsWhoseStreamFillsTheFrame) {
  Play(kNv12);
  GstCudaStream* stream = gst_cuda_stream_new(ElementContext());
  ASSERT_NE(stream, nullptr);
  GstCaps* caps = gst_caps_from_string(kNv12.c_str());
  GstVideoInfo info;
  gst_video_info_from_caps(&info, caps);
  gst_caps_unref(caps);
  GstAllocator* allocator = gst_allocator_find(GST_CUDA_MEMORY_TYPE_NAME);
  for (const bool filled : {false, true}) {
    SCOPED_TRACE(filled);
    GstMemory* memory = gst_cuda_allocator_alloc(reinterpret_cast<GstCudaAllocator*>(allocator),
                                                 ElementContext(), stream, &info);
    GstMapInfo map;
    const auto flags = static_cast<GstMapFlags>(int{GST_MAP_WRITE} | int{GST_MAP_CUDA});
    ASSERT_TRUE(gst_memory_map(memory, &map, flags));
    gst_memory_unmap(memory, &map);
    if (filled) gst_cuda_memory_sync(GST_CUDA_MEMORY_CAST(memory));
    GstBuffer* buffer = gst_buffer_new();
    gst_buffer_append_memory(buffer, memory);
    ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
    Pull();
    const void* seen = Fake().seen().back().view.cuda_stream;
    EXPECT_EQ(seen, filled ? nullptr : gst_cuda_stream_get_handle(stream));
  }
  gst_object_unref(allocator);
  gst_cuda_stream_unref(stream);
}

}  // namespace
}  // namespace cliptag::test
