// Whether the picture has been turned upright before it comes here.
//
// The image-orientation tag says how to turn what a camera or a file holds. videoflip and its like
// turn it, but (GStreamer 1.22.0, for one, or with a direction that is named) let the tag pass
// unchanged: following the tag would turn the picture again. So the elements before a pad are asked
// what they are set to.
//
// Thread safety: may be called from any thread; meant for the streaming one.
#pragma once

#include <gst/gst.h>

#include "kernels/frame.h"

namespace cliptag {

// Whether an element between the source and this sink pad turns frames by their tag (a property
// video-direction that is `auto`), or by just what the tag asks for.
bool IsTurnedUpstream(GstPad* sink, Orientation asked);

}  // namespace cliptag
