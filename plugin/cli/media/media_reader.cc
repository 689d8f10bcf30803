#include "plugin/cli/media/media_reader.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace cliptag {

Status CheckMediaFile(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return NotFound("cannot read '" + path +
                    "': " + (error ? error.message() : std::string("No such file or directory")));
  }
  if (std::filesystem::is_directory(status)) {
    return InvalidArgument("'" + path +
                           "' is a directory: name the files in it, or give --recursive");
  }
  if (!std::filesystem::is_regular_file(status)) {
    return InvalidArgument("'" + path + "' is not a regular file");
  }
  if (access(path.c_str(), R_OK) != 0) {
    return NotFound("cannot read '" + path + "': " + std::strerror(errno));
  }
  if (std::filesystem::file_size(path, error) == 0) return DataLoss("'" + path + "' is empty");
  return {};
}

Result<std::unique_ptr<MediaReader>> OpenMedia(const std::string& path,
                                               const MediaOptions& options) {
  CLIPTAG_RETURN_IF_ERROR(CheckMediaFile(path));
  return IsPicture(path) ? OpenPicture(path) : OpenVideo(path, options);
}

}  // namespace cliptag
