#include "plugin/gst/pictures/module.h"

extern "C" __attribute__((visibility("default"))) const cliptag::PictureModule*
cliptag_picture_module() {
  static const cliptag::PictureModule module{CLIPTAG_VERSION, cliptag::ReadPictureFile};
  return &module;
}
