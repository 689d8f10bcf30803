// Still pictures and videos behind one interface: a file yields frames, a picture one without a
// time, a video one every 1/fps seconds. What a file is, its content decides: what
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
  double fps = 1;  // frames taken per second of video; 0 = every one
  // A video that decodes nothing for this long is given up: demuxers exist that wait for ever for
  // the rest of a file that was cut off.
  double stall_s = 15;
};

class MediaReader {
 public:
  virtual ~MediaReader() = default;
  // The next frame; nothing at the end. After an error there is nothing more to come.
  virtual Result<std::optional<MediaFrame>> Next() = 0;
};

// Errors name the file and say whether it is missing, empty, truncated, or not what we can decode.
Result<std::unique_ptr<MediaReader>> OpenMedia(const std::string& path,
                                               const MediaOptions& options);

// The part of OpenMedia that costs nothing: the file is there, is a file, has content, can be read.
Status CheckMediaFile(const std::string& path);

// The two kinds, for OpenMedia. `path` has passed CheckMediaFile.
bool IsPicture(const std::string& path);
Result<std::unique_ptr<MediaReader>> OpenPicture(const std::string& path);
Result<std::unique_ptr<MediaReader>> OpenVideo(const std::string& path,
                                               const MediaOptions& options);

}  // namespace cliptag
