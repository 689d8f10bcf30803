// Still pictures and videos behind one interface: a picture yields one frame without a time, a
// video `fps` frames a second. The content decides which one a file is: what
// plugin/gst/pictures/header.h lists is a picture, everything else goes to GStreamer.
//
// Ownership: a MediaFrame keeps its pixels alive; they do not belong to the reader or its decoder.
// Thread safety: a reader is used by one thread at a time; different readers are independent.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "kernels/base/status.h"
#include "kernels/frame.h"

namespace cliptag {

struct MediaFrame {
  FrameView view;
  std::optional<double> time_s;        // stream time; a picture has none
  std::shared_ptr<const void> pixels;  // what `view` points into
  size_t bytes = 0;                    // that `pixels` holds
};

struct MediaOptions {
  // Frames taken per second of video (plugin/gst/rate_schedule.h); 0 = every one.
  double fps = 1;
  // A video that decodes nothing for this long is given up: some demuxers wait for ever for the
  // rest of a truncated file.
  double stall_s = 15;
};

class MediaReader {
 public:
  virtual ~MediaReader() = default;
  // The next frame; nothing at the end or after an error.
  virtual Result<std::optional<MediaFrame>> Next() = 0;
};

// Errors name the file and say whether it is missing, empty, truncated or cannot be decoded.
Result<std::unique_ptr<MediaReader>> OpenMedia(const std::string& path,
                                               const MediaOptions& options);

// The cheap checks of OpenMedia: the path is a regular file, not empty, and may be read.
Status CheckMediaFile(const std::string& path);

// The two kinds, for OpenMedia. `path` has passed CheckMediaFile.
bool IsPicture(const std::string& path);
Result<std::unique_ptr<MediaReader>> OpenPicture(const std::string& path);
Result<std::unique_ptr<MediaReader>> OpenVideo(const std::string& path,
                                               const MediaOptions& options);

}  // namespace cliptag
