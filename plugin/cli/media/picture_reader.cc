// Still pictures as media of one frame; plugin/gst/pictures reads them, for elements too.
#include <utility>

#include "plugin/cli/diagnostics.h"
#include "plugin/cli/media/media_reader.h"
#include "plugin/gst/pictures/picture_file.h"

namespace cliptag {
namespace {

class PictureReader : public MediaReader {
 public:
  explicit PictureReader(std::string path) : path_(std::move(path)) {}

  Result<std::optional<MediaFrame>> Next() override {
    if (std::exchange(done_, true)) return std::optional<MediaFrame>();
    const MuteStderr mute;  // libpng and libtiff print errors that they also return
    CLIPTAG_ASSIGN_OR_RETURN(PictureFile picture, ReadPictureFile(path_));
    MediaFrame frame;
    frame.view = picture.view;
    frame.pixels = std::move(picture.pixels);
    frame.bytes = picture.bytes;
    return std::optional<MediaFrame>(std::move(frame));
  }

 private:
  std::string path_;
  bool done_ = false;
};

}  // namespace

bool IsPicture(const std::string& path) {
  const PictureKind::Use use = KindOfPictureFile(path).use;
  return use == PictureKind::kRead || use == PictureKind::kRefused;
}

Result<std::unique_ptr<MediaReader>> OpenPicture(const std::string& path) {
  return std::unique_ptr<MediaReader>(std::make_unique<PictureReader>(path));
}

}  // namespace cliptag
