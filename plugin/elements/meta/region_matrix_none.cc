// Before GStreamer 1.28: elements that crop or turn the picture tell nobody how.
#include "plugin/elements/meta/region_map.h"

namespace cliptag {

bool MapOfMatrix(GQuark, gconstpointer, RegionMap*) { return false; }

}  // namespace cliptag
