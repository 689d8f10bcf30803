// Files that only say where a video is, on the network or in other files. What opens them would
// fetch whatever they name, so that reading a file from a stranger would send requests: they are
// refused.
//
// Thread safety: any thread.
#pragma once

#include <gst/gst.h>

#include <string_view>

namespace cliptag {

// What a file with caps of this name is, "an HLS playlist"; empty where it is none of these.
std::string_view PlaylistName(std::string_view caps);

// For a decodebin: no element is put into it that reads from elsewhere, whatever the file asks for.
void RefuseReadingElsewhere(GstElement* decodebin);

}  // namespace cliptag
