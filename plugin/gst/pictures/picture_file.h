// Still pictures, for exemplars and for the tool alike: 8-bit RGB as PIL's convert("RGB") gives
// them. Alpha is dropped (not blended), palettes and greys are expanded, EXIF's orientation is left
// as the file stores it (TIFF's own is followed, as PIL does). 16-bit pictures keep the high byte
// of each sample (a TIFF's are rounded); PIL does so for RGB, and saturates 16-bit grey to white,
// which is of no use to anybody and not followed.
//
// OpenCV decodes what plugin/gst/pictures/header.h lists, once the header has told a size within
// bounds. Only regular files are read, and nothing that a file names is opened.
//
// Two of these exist: picture_file.cc has OpenCV linked, for the tool; picture_file_dynamic.cc
// opens it when the first picture is read, for the plugin, since OpenCV's readers bring some 130
// libraries.
//
// Thread safety: any thread. Blocks while it reads and decodes, so not for a streaming thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/base/status.h"
#include "kernels/frame.h"
#include "models/prompts/exemplars.h"
#include "plugin/gst/pictures/header.h"

namespace cliptag {

struct PictureFile {
  FrameView view;
  std::shared_ptr<const void> pixels;  // what `view` points into
  size_t bytes = 0;                    // that `pixels` holds
};

constexpr uint64_t kMostPicturePixels = 250'000'000;

// By its first bytes; kOther, too, where it cannot be read.
PictureKind KindOfPictureFile(const std::string& path);

// Errors name the file, and what is wrong with it, without a full stop.
Result<PictureFile> ReadPictureFile(const std::string& path);

// The same, as an exemplar.
inline Result<ExemplarPicture> ReadExemplar(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const PictureFile file, ReadPictureFile(path));
  return PictureFrom(file.view);
}

}  // namespace cliptag
