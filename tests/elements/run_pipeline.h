// Pipelines as users write them, run to their end for the tags of their frames.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/elements/gst_test.h"

namespace cliptag::test {

struct PipelineFree {
  void operator()(GstElement* p) const {
    gst_element_set_state(p, GST_STATE_NULL);
    gst_object_unref(p);
  }
};
using PipelinePtr = std::unique_ptr<GstElement, PipelineFree>;

struct TagResult {
  std::string best;
  double score = 0, cosine = 0;
  std::vector<float> embedding;  // with attach-embedding
};

inline PipelinePtr Parse(const std::string& launch) {
  GError* error = nullptr;
  PipelinePtr pipeline(gst_parse_launch(launch.c_str(), &error));
  EXPECT_EQ(error, nullptr) << launch << ": " << error->message;
  return pipeline;
}

struct EventResult {
  std::string label;
  bool start = false;
  guint64 pts = 0, duration = 0;  // the latter at the end
};

struct RunResult {
  std::vector<TagResult> frames;
  std::vector<EventResult> events;
  std::vector<std::string> warnings;
  std::string error;
  bool eos = false;
};

// Runs to the end or an error, and gathers the tags.
inline RunResult RunPipeline(const std::string& launch) {
  RunResult run;
  const PipelinePtr pipeline = Parse(launch);
  GstBus* bus = gst_element_get_bus(pipeline.get());
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  const auto types =
      static_cast<GstMessageType>(int{GST_MESSAGE_EOS} | int{GST_MESSAGE_ERROR} |
                                  int{GST_MESSAGE_WARNING} | int{GST_MESSAGE_ELEMENT});
  while (!run.eos && run.error.empty()) {
    const MessagePtr message(gst_bus_timed_pop_filtered(bus, 100 * GST_SECOND, types));
    if (!message) break;
    if (GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_EOS) run.eos = true;
    if (GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_ERROR) run.error = TextOf(message.get());
    if (GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_WARNING) {
      run.warnings.push_back(TextOf(message.get()));
    }
    if (gst_message_has_name(message.get(), "cliptag-event")) {
      const GstStructure* told = gst_message_get_structure(message.get());
      EventResult event;
      event.label = gst_structure_get_string(told, "label");
      event.start = gst_structure_get_string(told, "state") == std::string("start");
      gst_structure_get_uint64(told, "pts", &event.pts);
      gst_structure_get_uint64(told, "duration", &event.duration);
      run.events.push_back(event);
    }
    if (!gst_message_has_name(message.get(), "cliptag")) continue;
    const GValue* tags = gst_structure_get_value(gst_message_get_structure(message.get()), "tags");
    const GstStructure* tag = gst_value_get_structure(gst_value_list_get_value(tags, 0));
    TagResult result;
    result.best = gst_structure_get_string(tag, "label");
    gst_structure_get(tag, "score", G_TYPE_DOUBLE, &result.score, "cosine", G_TYPE_DOUBLE,
                      &result.cosine, nullptr);
    GBytes* bytes = nullptr;
    if (gst_structure_get(gst_message_get_structure(message.get()), "embedding", G_TYPE_BYTES,
                          &bytes, nullptr)) {
      gsize size = 0;
      const auto* values = static_cast<const float*>(g_bytes_get_data(bytes, &size));
      result.embedding.assign(values, values + size / sizeof(float));
      g_bytes_unref(bytes);
    }
    run.frames.push_back(result);
  }
  gst_object_unref(bus);
  return run;
}

}  // namespace cliptag::test
