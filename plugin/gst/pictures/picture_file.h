// Reads still pictures, the exemplars of a prompts file and the inputs of the tool: 8-bit RGB, as
// PIL's convert("RGB") gives it. Alpha is dropped (not blended), palettes and greys are expanded,
// EXIF's orientation is ignored (TIFF's is applied, as in PIL). 16-bit pictures keep the high byte
// of each sample (a TIFF's are rounded), as in PIL for RGB; PIL saturates 16-bit grey to white,
// which is not followed.
//
// OpenCV decodes the kinds of plugin/gst/pictures/header.h if the header gives a size within
// bounds. Only regular files are read, and no file that a file names is opened.
//
// There is one reader, linked in two ways: picture_file.cc has OpenCV linked, for the tool;
// picture_file_dynamic.cc opens it as a module at the first picture, for the plugin, since OpenCV's
// readers bring some 130 libraries.
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

// By its first bytes; kOther also if it cannot be read.
PictureKind KindOfPictureFile(const std::string& path);

// Errors name the file and what is wrong with it.
Result<PictureFile> ReadPictureFile(const std::string& path);

// The same, as an exemplar.
inline Result<ExemplarPicture> ReadExemplar(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const PictureFile file, ReadPictureFile(path));
  return PictureFrom(file.view);
}

}  // namespace cliptag
