// Before GStreamer 1.28 elements do not describe how they crop or rotate a frame.
#include "plugin/elements/meta/region_map.h"

namespace cliptag {

bool MapOfMatrix(GQuark, gconstpointer, RegionMap*) { return false; }

}  // namespace cliptag
