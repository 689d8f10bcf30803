// GIFs through GStreamer's libav come to no end: at the trailer its demuxer reads on, beyond the
// end of the file, for ever (GStreamer 1.22 with FFmpeg 5.1). This notices it and ends the stream.
#pragma once

#include <gst/gst.h>

#include <cstdint>

namespace cliptag {

// For a decodebin that is about to read a file of this size. All else that it may read is left
// alone.
void EndGifs(GstElement* decodebin, uint64_t file_bytes);

}  // namespace cliptag
