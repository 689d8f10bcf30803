// GIFs through GStreamer's libav never end: after the trailer its demuxer keeps reading beyond the
// end of the file (GStreamer 1.22 with FFmpeg 5.1). This detects it and ends the stream.
#pragma once

#include <gst/gst.h>

#include <cstdint>

namespace cliptag {

// For a decodebin that is about to read a file of this size. Files other than GIFs are not
// affected.
void EndGifs(GstElement* decodebin, uint64_t file_bytes);

}  // namespace cliptag
