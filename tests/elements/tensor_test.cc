// The embedding as a GstTensorMeta; built from GStreamer 1.26 on.
#include <gst/analytics/analytics.h>

#include "plugin/elements/meta/meta.h"
#include "tests/elements/gst_test.h"

namespace cliptag::test {
namespace {

TEST(Tensor, HoldsTheEmbeddingBesideWhatOthersAttached) {
  const BufferHolder buffer(gst_buffer_new());
  AttachTensor(buffer.get(), {});
  EXPECT_EQ(gst_buffer_get_tensor_meta(buffer.get()), nullptr);
  AttachTensor(buffer.get(), {1.0f, 2.0f});
  AttachTensor(buffer.get(), {0.6f, 0.8f, 0.0f});
  GstTensorMeta* meta = gst_buffer_get_tensor_meta(buffer.get());
  ASSERT_NE(meta, nullptr);
  ASSERT_EQ(meta->num_tensors, 2u);
  for (gsize i = 0; i < 2; ++i) {
    const GstTensor* tensor = gst_tensor_meta_get(meta, i);
    EXPECT_STREQ(g_quark_to_string(tensor->id), "cliptag-embedding");
    EXPECT_EQ(tensor->data_type, GST_TENSOR_DATA_TYPE_FLOAT32);
    ASSERT_EQ(tensor->num_dims, 1u);
    EXPECT_EQ(tensor->dims[0], 2 + i);
    EXPECT_EQ(gst_buffer_get_size(tensor->data), tensor->dims[0] * sizeof(float));
  }
  float value = 0;
  gst_buffer_extract(gst_tensor_meta_get(meta, 1)->data, sizeof(float), &value, sizeof value);
  EXPECT_FLOAT_EQ(value, 0.8f);
}

}  // namespace
}  // namespace cliptag::test
