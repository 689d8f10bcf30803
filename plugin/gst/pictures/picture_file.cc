#include "plugin/gst/pictures/picture_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "plugin/gst/pictures/check.h"
#include "plugin/gst/pictures/header.h"
#include "plugin/gst/pictures/masked_bmp.h"
#include "plugin/gst/pictures/portable_map.h"

namespace cliptag {
namespace {

// An encoded picture larger than this is no picture (and imdecode counts bytes in an int).
constexpr off_t kMaxFileBytes = off_t{1} << 30;

class RegularFile {
 public:
  static Result<std::unique_ptr<RegularFile>> Open(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return NotFound("cannot read '" + path + "': " + std::strerror(errno));
    std::unique_ptr<RegularFile> file(new RegularFile(fd));
    struct stat status {};
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
      return InvalidArgument("'" + path + "' is not a regular file");
    }
    if (status.st_size == 0) return DataLoss("'" + path + "' is empty");
    if (status.st_size > kMaxFileBytes) {
      return Unsupported("'" + path + "' is larger than 1 GiB, too large for a picture");
    }
    file->size_ = static_cast<size_t>(status.st_size);
    return file;
  }
  ~RegularFile() { close(fd_); }
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;

  // Fewer at the end of the file.
  std::vector<uint8_t> Read(size_t most) const {
    std::vector<uint8_t> bytes(std::min(most, size_));
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n = read(fd_, bytes.data() + done, bytes.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      done += static_cast<size_t>(n);
    }
    bytes.resize(done);
    return bytes;
  }
  size_t size() const { return size_; }

 private:
  explicit RegularFile(int fd) : fd_(fd) {}
  const int fd_;
  size_t size_ = 0;
};

// While one lives, OpenCV does not print what it also throws or logs. The setting belongs to the
// whole process: the first one saves it, the last one restores it.
class QuietOpenCv {
 public:
  QuietOpenCv() {
    const std::lock_guard lock(mutex_);
    if (depth_++ > 0) return;
    level_ = cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    handler_ = cv::redirectError(Ignore, nullptr, &data_);
  }
  ~QuietOpenCv() {
    const std::lock_guard lock(mutex_);
    if (--depth_ > 0) return;
    cv::redirectError(handler_, data_);
    cv::utils::logging::setLogLevel(level_);
  }
  QuietOpenCv(const QuietOpenCv&) = delete;
  QuietOpenCv& operator=(const QuietOpenCv&) = delete;

 private:
  static int Ignore(int, const char*, const char*, const char*, int, void*) { return 0; }

  static inline std::mutex mutex_;
  static inline int depth_ = 0;
  static inline cv::utils::logging::LogLevel level_{};
  static inline cv::ErrorCallback handler_ = nullptr;
  static inline void* data_ = nullptr;
};

// Undoes the multiplication of colours by alpha, as PIL does.
void DivideByAlpha(cv::Mat* bgra) {
  for (int y = 0; y < bgra->rows; ++y) {
    uint8_t* pixel = bgra->ptr(y);
    for (int x = 0; x < bgra->cols; ++x, pixel += 4) {
      const int alpha = pixel[3];
      for (int c = 0; c < 3; ++c) {
        pixel[c] = alpha == 0 ? 0 : static_cast<uint8_t>(std::min(255, 255 * pixel[c] / alpha));
      }
    }
  }
}

// In OpenCV's order: B, G, R. Empty if it cannot decode.
cv::Mat DecodeWithOpenCv(std::string_view kind, std::vector<uint8_t>& bytes) {
  const QuietOpenCv quiet;
  const TiffAlpha alpha = kind == "TIFF" ? KeepTiffColours(bytes) : TiffAlpha::kNone;
  if (alpha == TiffAlpha::kMultiplied) {
    cv::Mat bgra = cv::imdecode(bytes, cv::IMREAD_UNCHANGED);
    if (bgra.type() == CV_16UC4) {
      constexpr double kDown = -0.498;  // convertTo rounds; PIL keeps the high byte
      bgra.convertTo(bgra, CV_8U, 1.0 / 256, kDown);
    }
    if (bgra.type() == CV_8UC4) {
      DivideByAlpha(&bgra);
      return bgra;
    }
  }
  return cv::imdecode(bytes, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
}

PictureFile Picture(std::shared_ptr<const cv::Mat> mat) {
  PictureFile file;
  file.view = RgbView(mat->data, static_cast<ptrdiff_t>(mat->step[0]), mat->cols, mat->rows,
                      mat->channels() == 4 ? RgbOrder::kBgrx : RgbOrder::kBgr);
  file.bytes = mat->step[0] * static_cast<size_t>(mat->rows);
  file.pixels = std::move(mat);
  return file;
}

Result<PictureFile> Decode(const std::string& path, std::string_view kind, PictureSize size,
                           std::vector<uint8_t> bytes) {
  const bool masked = kind == "BMP" && IsMaskedBmp(bytes);
  if (kind == "PNM" || masked) {
    std::optional<std::vector<uint8_t>> rgb =
        masked ? ReadMaskedBmp(bytes) : ReadPortableMap(bytes);
    if (!rgb) return DataLoss("the picture '" + path + "' is truncated or damaged");
    auto pixels = std::make_shared<const std::vector<uint8_t>>(std::move(*rgb));
    const int width = static_cast<int>(size.width);
    return PictureFile{RgbView(pixels->data(), ptrdiff_t{3} * width, width,
                               static_cast<int>(size.height), RgbOrder::kRgb),
                       pixels, pixels->size()};
  }
  cv::Mat decoded = DecodeWithOpenCv(kind, bytes);
  if (decoded.empty()) {
    return DataLoss("cannot decode the picture '" + path + "': it is damaged, or a " +
                    std::string(kind) + " of a kind that OpenCV does not know");
  }
  return Picture(std::make_shared<const cv::Mat>(std::move(decoded)));
}

Status CheckSize(const std::string& path, PictureSize size) {
  if (size.width == 0 || size.height == 0) {
    return DataLoss("the picture '" + path + "' is truncated or damaged: its header tells no size");
  }
  if (size.width <= kMostPicturePixels / size.height) return {};
  return Unsupported("the picture '" + path + "' is too large: " + std::to_string(size.width) +
                     "x" + std::to_string(size.height) + " pixels, of 250 megapixels at most");
}

Status WrongKind(const std::string& path, PictureKind kind) {
  if (kind.use == PictureKind::kOther) {
    return DataLoss(
        "'" + path +
        "' is no picture that cliptag knows: JPEG, PNG, WebP, BMP, TIFF, JPEG 2000, PNM "
        "and Sun raster are");
  }
  return Unsupported("the picture '" + path + "' is " + std::string(kind.name) +
                     ", which is not read: convert it to PNG or JPEG");
}

}  // namespace

PictureKind KindOfPictureFile(const std::string& path) {
  const auto file = RegularFile::Open(path);
  return file.ok() ? KindOfPicture((*file)->Read(kPictureMagicBytes)) : PictureKind();
}

Result<PictureFile> ReadPictureFile(const std::string& path) try {
  CLIPTAG_ASSIGN_OR_RETURN(const auto file, RegularFile::Open(path));
  std::vector<uint8_t> bytes = file->Read(file->size());
  if (bytes.size() < file->size()) return DataLoss("cannot read '" + path + "' to its end");
  const PictureKind kind = KindOfPicture(bytes);
  if (kind.use != PictureKind::kRead) return WrongKind(path, kind);
  if (!PictureIsComplete(bytes)) {
    return DataLoss("the picture '" + path + "' is truncated: the file ends before it does");
  }
  const PictureSize size = SizeOfPicture(kind.name, bytes);
  CLIPTAG_RETURN_IF_ERROR(CheckSize(path, size));
  return Decode(path, kind.name, size, std::move(bytes));
} catch (const cv::Exception& e) {
  return DataLoss("cannot decode the picture '" + path + "': " + e.err);
} catch (const std::bad_alloc&) {
  return ResourceExhausted("not enough memory for the picture '" + path + "'");
}

}  // namespace cliptag
