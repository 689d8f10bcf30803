// The embedding as a tensor, from GStreamer 1.26 on.
#include <gst/analytics/analytics.h>

#include "plugin/elements/meta/meta.h"

namespace cliptag {

void AttachTensor(GstBuffer* buffer, const std::vector<float>& embedding) {
  if (embedding.empty()) return;
  GstTensorMeta* meta = gst_buffer_get_tensor_meta(buffer);
  const gsize others = meta != nullptr ? meta->num_tensors : 0;
  if (meta == nullptr) meta = gst_buffer_add_tensor_meta(buffer);
  if (meta == nullptr) return;

  gsize dims[] = {embedding.size()};
  GstBuffer* data =
      gst_buffer_new_memdup(embedding.data(), embedding.size() * sizeof(float));  // the tensor's
  GstTensor* tensor = gst_tensor_new_simple(
      g_quark_from_static_string("cliptag-embedding"), GST_TENSOR_DATA_TYPE_FLOAT32, data,
      GST_TENSOR_DIM_ORDER_ROW_MAJOR, G_N_ELEMENTS(dims), dims);
  if (tensor == nullptr) return;
  // gst_tensor_meta_set() replaces and frees the list: keep copies of the tensors of other
  // elements.
  GstTensor** tensors = g_new(GstTensor*, others + 1);
  for (gsize i = 0; i < others; ++i) tensors[i] = gst_tensor_copy(gst_tensor_meta_get(meta, i));
  tensors[others] = tensor;
  gst_tensor_meta_set(meta, static_cast<guint>(others + 1), tensors);
}

}  // namespace cliptag
