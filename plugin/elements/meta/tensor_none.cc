// GStreamer before 1.26 has no tensor metadata.
#include "plugin/elements/meta/meta.h"

namespace cliptag {

void AttachTensor(GstBuffer*, const std::vector<float>&) {}

}  // namespace cliptag
