// Still pictures through OpenCV, as PIL's convert("RGB") gives them: 8 bits, alpha dropped (not
// blended), palettes and greys expanded, EXIF orientation left as the file stores it. 16-bit
// pictures keep the high byte of each sample; PIL does so for RGB, and saturates 16-bit grey to
// white, which is of no use to anybody and not followed.
#include <fstream>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <utility>
#include <vector>

#include "models/picture_check.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/media_reader.h"

namespace cliptag {
namespace {

// An encoded picture larger than this is no picture (and imdecode counts bytes in an int).
constexpr size_t kMaxFileBytes = size_t{1} << 30;

Result<std::vector<uint8_t>> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0) return NotFound("cannot read '" + path + "'");
  if (static_cast<size_t>(size) > kMaxFileBytes) {
    return Unsupported("'" + path + "' is larger than 1 GiB, too large for a picture");
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), size)) {
    return DataLoss("cannot read '" + path + "' to its end");
  }
  return bytes;
}

Result<cv::Mat> Decode(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<uint8_t> bytes, ReadFile(path));
  if (!PictureIsComplete(bytes)) {
    return DataLoss("the picture '" + path + "' is truncated: the file ends before it does");
  }
  MuteStderr mute;
  try {
    cv::Mat picture = cv::imdecode(bytes, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
    if (!picture.empty()) return picture;
  } catch (const cv::Exception& e) {
    // What OpenCV asserts is a condition of its source.
    if (e.err.find("CV_IO_MAX_IMAGE") != std::string::npos) {
      return Unsupported("the picture '" + path +
                         "' is too large: OpenCV decodes up to 1,048,576 pixels a side and 2^30 in "
                         "all");
    }
    return DataLoss("cannot decode the picture '" + path + "': " + e.err);
  } catch (const std::bad_alloc&) {
    return ResourceExhausted("not enough memory for the picture '" + path + "'");
  }
  return DataLoss("cannot decode the picture '" + path +
                  "': it is damaged, or of a kind that OpenCV " + "does not know");
}

class PictureReader : public MediaReader {
 public:
  explicit PictureReader(std::string path) : path_(std::move(path)) {}

  Result<std::optional<MediaFrame>> Next() override {
    if (std::exchange(done_, true)) return std::optional<MediaFrame>();
    CLIPTAG_ASSIGN_OR_RETURN(cv::Mat decoded, Decode(path_));
    auto picture = std::make_shared<cv::Mat>(std::move(decoded));
    MediaFrame frame;
    frame.view = RgbView(picture->data, static_cast<ptrdiff_t>(picture->step[0]), picture->cols,
                         picture->rows, RgbOrder::kBgr);
    frame.bytes = picture->step[0] * static_cast<size_t>(picture->rows);
    frame.pixels = std::move(picture);
    return std::optional<MediaFrame>(std::move(frame));
  }

 private:
  std::string path_;
  bool done_ = false;
};

int Ignore(int, const char*, const char*, const char*, int, void*) { return 0; }

}  // namespace

bool IsPicture(const std::string& path) {
  // OpenCV prints what it also throws or logs; the caller has a sentence of its own.
  [[maybe_unused]] static const bool quiet = [] {
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    cv::redirectError(Ignore);
    return true;
  }();
  try {
    return cv::haveImageReader(path);
  } catch (const cv::Exception&) {
    return false;
  }
}

Result<std::unique_ptr<MediaReader>> OpenPicture(const std::string& path) {
  return std::unique_ptr<MediaReader>(std::make_unique<PictureReader>(path));
}

}  // namespace cliptag
