// A `cliptag` on the fake engine, which says that it is CUDA's, with the stand-in for the driver.
#pragma once

#include <gst/cuda/gstcudabufferpool.h>
#include <gst/cuda/gstcudautils.h>

#include <string>
#include <vector>

#include "plugin/elements/cuda/cuda_frames.h"
#include "tests/cuda/driver/driver.h"
#include "tests/cuda/standin/control.h"
#include "tests/elements/cliptag_fixture.h"

namespace cliptag::test {

inline std::string CudaCaps(const std::string& format, int width, int height) {
  std::string caps = CapsOf(format, width, height);
  return caps.insert(caps.find(','), "(memory:CUDAMemory)");
}

class CudaElementTest : public ClipTagTest {
 protected:
  void SetUp() override {
    // Whether there is a module is asked; the fake engine never opens it.
    g_setenv("CLIPTAG_CUDA_MODULE", "/any/module.so", TRUE);
    standin::Settings settings;
    settings.devices = 2;
    standin::Reset(settings);
    ASSERT_TRUE(CudaFrames::Available());
    gst_cuda_memory_init_once();
    current_before_ = standin::GetDriverCounters().current;
    ClipTagTest::SetUp();
    Fake().backend_kind = BackendKind::kCuda;
  }

  void TearDown() override {
    if (element_ != nullptr) ClipTagTest::TearDown();
    if (other_ != nullptr) gst_object_unref(other_);
    for (const std::string& problem : standin::TakeDriverProblems()) ADD_FAILURE() << problem;
    for (const std::string& problem : standin::TakeProblems()) ADD_FAILURE() << problem;
    EXPECT_EQ(standin::GetDriverCounters().contexts, 0) << "someone still holds a context";
    EXPECT_EQ(standin::GetDriverCounters().current, current_before_)
        << "a context was left current";
    EXPECT_EQ(standin::GetLiveObjects().Total(), 0u);
  }

  // A context of the application's.
  GstCudaContext* Other(guint device) {
    other_ = gst_cuda_context_new(device);
    EXPECT_NE(other_, nullptr);
    return other_;
  }

  // The one that the element works in; no reference.
  GstCudaContext* ElementContext() {
    GstQuery* query = gst_query_new_context(GST_CUDA_CONTEXT_TYPE);
    GstCudaContext* found = nullptr;
    GstContext* context = nullptr;
    if (gst_element_query(element_, query)) gst_query_parse_context(query, &context);
    if (context != nullptr) {
      gst_structure_get(gst_context_get_structure(context), GST_CUDA_CONTEXT_TYPE,
                        GST_TYPE_CUDA_CONTEXT, &found, nullptr);
      gst_object_unref(found);  // the element has its own
    }
    gst_query_unref(query);
    return found;
  }

  // A frame of those caps in memory of `context`, with the metadata that a pool gives it.
  static GstBuffer* CudaFrame(GstCudaContext* context, const std::string& caps_string, guint64 n) {
    GstCaps* caps = gst_caps_from_string(caps_string.c_str());
    GstVideoInfo info;
    gst_video_info_from_caps(&info, caps);
    GstBufferPool* pool = gst_cuda_buffer_pool_new(context);
    GstStructure* config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, caps, static_cast<guint>(info.size), 0, 0);
    EXPECT_TRUE(gst_buffer_pool_set_config(pool, config));
    EXPECT_TRUE(gst_buffer_pool_set_active(pool, TRUE));
    GstBuffer* buffer = nullptr;
    EXPECT_EQ(gst_buffer_pool_acquire_buffer(pool, &buffer, nullptr), GST_FLOW_OK);
    gst_buffer_pool_set_active(pool, FALSE);
    gst_object_unref(pool);
    gst_caps_unref(caps);
    GST_BUFFER_PTS(buffer) = n * kFrame;
    return buffer;
  }

  // Where the memory of a frame lies.
  static const uint8_t* AddressOf(GstBuffer* buffer) {
    GstMapInfo map;
    const auto flags = static_cast<GstMapFlags>(int{GST_MAP_READ} | int{GST_MAP_CUDA});
    EXPECT_TRUE(gst_buffer_map(buffer, &map, flags));
    const uint8_t* address = map.data;
    gst_buffer_unmap(buffer, &map);
    return address;
  }

  bool Accepts(const std::string& caps_string) {
    GstPad* pad = gst_element_get_static_pad(element_, "sink");
    GstCaps* caps = gst_caps_from_string(caps_string.c_str());
    const bool accepted = gst_pad_query_accept_caps(pad, caps);
    gst_caps_unref(caps);
    gst_object_unref(pad);
    return accepted;
  }

  bool Offers(const char* pad_name) {
    GstPad* pad = gst_element_get_static_pad(element_, pad_name);
    GstCaps* filter = gst_caps_from_string("video/x-raw(memory:CUDAMemory)");
    GstCaps* caps = gst_pad_query_caps(pad, filter);
    const bool offered = !gst_caps_is_empty(caps);
    gst_caps_unref(caps);
    gst_caps_unref(filter);
    gst_object_unref(pad);
    return offered;
  }

  GstCudaContext* other_ = nullptr;
  int64_t current_before_ = 0;
};

}  // namespace cliptag::test
