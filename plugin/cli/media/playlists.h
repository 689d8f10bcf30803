// Files that only name a video on the network or in other files. Their demuxers would fetch what
// the file names, so that a file from a stranger could send requests: they are refused.
//
// Thread safety: any thread.
#pragma once

#include <gst/gst.h>

#include <string_view>

namespace cliptag {

// The kind of playlist with caps of this name, "an HLS playlist"; empty for other caps.
std::string_view PlaylistName(std::string_view caps);

// Keeps elements that read from elsewhere out of a decodebin.
void RefuseReadingElsewhere(GstElement* decodebin);

}  // namespace cliptag
