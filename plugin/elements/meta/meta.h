// Results as GStreamer carries them: the bus messages, GstCliptagMeta on the buffer, and the
// analytics metadata of newer versions of GStreamer.
//
// Thread safety: pure functions. RegisterMetas of region_map.h goes before all.
#pragma once

#include <gst/gst.h>

#include <span>
#include <string>
#include <vector>

#include "plugin/engine/engine.h"

namespace cliptag {

struct ResultContext {
  guint64 pts = GST_CLOCK_TIME_NONE;
  guint64 stream_time = GST_CLOCK_TIME_NONE;
  guint64 age = 0;
  std::string model;
  bool attach_embedding = false;
};

// A structure `name` with the fields that message and meta share (see gstcliptagmeta.h). Caller
// owns.
GstStructure* MakeResultStructure(const char* name, const ResultContext& context,
                                  const InferenceResult& result);

// Message structure "cliptag-event". Caller owns.
GstStructure* MakeEventStructure(const TagEvent& event);

// A text as GStreamer takes it; labels are bytes that a user wrote.
std::string ValidUtf8(const std::string& text);

// The objects that elements upstream have marked: GstVideoRegionOfInterestMeta, tracked if a
// tracker of DL Streamer has added its `object_id`, else with its own id; and from GStreamer 1.24
// on the objects of analytics metadata. An object keeps its tags on later buffers as far as
// MatchRegions() finds it again.
std::vector<ObjectRegion> ObjectsOf(GstBuffer* buffer);

// Attaches everything to a writable buffer; false if GStreamer refuses. The tags of an object are
// also added to its mark: as a parameter `cliptag` of its region of interest, or related to it in
// analytics metadata.
bool AttachResult(GstBuffer* buffer, const ResultContext& context, const InferenceResult& result);

// In analytics_*.cc; meson chooses the file for this version of GStreamer.
// The tags of the frame as GstAnalytics classification, best first, and those of the objects
// related to them, `of_objects` in the order of AppendAnalyticsObjects() (there may be fewer);
// nothing before GStreamer 1.24.
void AttachAnalytics(GstBuffer* buffer, const std::vector<Tag>& tags,
                     std::span<const std::vector<const Tag*>> of_objects);
// Appends the objects that analytics metadata knows.
void AppendAnalyticsObjects(GstBuffer* buffer, std::vector<ObjectRegion>* objects);

// In tensor_*.cc. The embedding as GstTensorMeta; nothing before GStreamer 1.26.
void AttachTensor(GstBuffer* buffer, const std::vector<float>& embedding);

}  // namespace cliptag
