#include "plugin/elements/meta.h"

#include "plugin/elements/gstcliptagmeta.h"

namespace cliptag {
namespace {

// Labels are a user's bytes; GStreamer wants UTF-8.
std::string ValidUtf8(const std::string& text) {
  gchar* valid = g_utf8_make_valid(text.data(), static_cast<gssize>(text.size()));
  std::string result(valid);
  g_free(valid);
  return result;
}

void AppendTag(GValue* list, const Tag& tag) {
  GValue value = G_VALUE_INIT;
  g_value_init(&value, GST_TYPE_STRUCTURE);
  g_value_take_boxed(
      &value,
      gst_structure_new("tag", "label", G_TYPE_STRING, ValidUtf8(tag.label).c_str(), "score",
                        G_TYPE_DOUBLE, tag.score, "cosine", G_TYPE_DOUBLE, tag.cosine, "active",
                        G_TYPE_BOOLEAN, static_cast<gboolean>(tag.active), nullptr));
  gst_value_list_append_and_take_value(list, &value);
}

void FillStructure(GstStructure* structure, const ResultContext& context,
                   const InferenceResult& result) {
  gst_structure_set(structure, "pts", G_TYPE_UINT64, context.pts, "stream-time", G_TYPE_UINT64,
                    context.stream_time, "frame", G_TYPE_UINT64, context.frame, "model",
                    G_TYPE_STRING, context.model.c_str(), "age", G_TYPE_UINT64, context.age,
                    nullptr);
  GValue tags = G_VALUE_INIT;
  g_value_init(&tags, GST_TYPE_LIST);
  for (const Tag& tag : result.tags) AppendTag(&tags, tag);
  gst_structure_take_value(structure, "tags", &tags);
  if (context.attach_embedding && !result.embedding.empty()) {
    GBytes* bytes = g_bytes_new(result.embedding.data(), result.embedding.size() * sizeof(float));
    gst_structure_set(structure, "embedding", G_TYPE_BYTES, bytes, nullptr);
    g_bytes_unref(bytes);
  }
}

}  // namespace

void RegisterCliptagMeta() {
  // No tags and no transform function: the meta is copied to whatever a frame is converted to,
  // since what is in the picture does not depend on its size or format.
  static const gchar* no_tags[] = {nullptr};
  if (gst_meta_get_info(GST_CLIPTAG_META_NAME) == nullptr) {
    gst_meta_register_custom(GST_CLIPTAG_META_NAME, no_tags, nullptr, nullptr, nullptr);
  }
}

GstStructure* MakeResultStructure(const char* name, const ResultContext& context,
                                  const InferenceResult& result) {
  GstStructure* structure = gst_structure_new_empty(name);
  FillStructure(structure, context, result);
  return structure;
}

GstStructure* MakeEventStructure(const TagEvent& event) {
  GstStructure* structure = gst_structure_new(
      "cliptag-event", "label", G_TYPE_STRING, ValidUtf8(event.label).c_str(), "state",
      G_TYPE_STRING, event.start ? "start" : "end", "pts", G_TYPE_UINT64,
      static_cast<guint64>(event.pts_ns), "score", G_TYPE_DOUBLE, event.score, nullptr);
  if (!event.start) {
    gst_structure_set(structure, "duration", G_TYPE_UINT64, static_cast<guint64>(event.duration_ns),
                      "peak", G_TYPE_DOUBLE, event.peak, nullptr);
  }
  return structure;
}

bool AttachResult(GstBuffer* buffer, const ResultContext& context, const InferenceResult& result) {
  GstCustomMeta* meta = gst_buffer_add_custom_meta(buffer, GST_CLIPTAG_META_NAME);
  if (meta == nullptr) return false;
  FillStructure(gst_custom_meta_get_structure(meta), context, result);
  AttachAnalytics(buffer, result.tags);
  if (context.attach_embedding) AttachTensor(buffer, result.embedding);
  return true;
}

}  // namespace cliptag
