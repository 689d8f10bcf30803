// The interface of the module that reads pictures: one C symbol, a function that returns this
// table.
#pragma once

#include "plugin/gst/pictures/picture_file.h"

namespace cliptag {

struct PictureModule {
  const char* version;  // of cliptag; plugin and module are of one build
  Result<PictureFile> (*read)(const std::string& path);
};

constexpr char kPictureModuleSymbol[] = "cliptag_picture_module";
using PictureModuleFunction = const PictureModule* (*)();

}  // namespace cliptag
