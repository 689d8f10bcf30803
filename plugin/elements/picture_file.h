// Still pictures for exemplars, decoded by GStreamer: the plugin links no library of pictures.
//
// Blocks until the picture is there, so not for a streaming thread. Thread safe: every call has a
// pipeline of its own.
#pragma once

#include <string>

#include "models/exemplars.h"

namespace cliptag {

// 8-bit RGB as the file stores it: alpha dropped, not turned. Errors name the file.
Result<ExemplarPicture> ReadPictureFile(const std::string& path);

}  // namespace cliptag
