// GStreamer before 1.24 has no analytics metadata.
#include "plugin/elements/meta/meta.h"

namespace cliptag {

void AttachAnalytics(GstBuffer*, const std::vector<Tag>&,
                     std::span<const std::vector<const Tag*>>) {}

void AppendAnalyticsObjects(GstBuffer*, std::vector<ObjectRegion>*) {}

}  // namespace cliptag
