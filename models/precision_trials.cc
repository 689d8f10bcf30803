#include "models/precision_trials.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "models/config/config.h"
#include "models/io/cache_directory.h"
#include "models/io/content_hash.h"
#include "models/io/write_all.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

constexpr double kBillion = 1e9;

std::string Format(const std::string& identity, int64_t billionths) {
  const std::string text =
      "cliptag precision 1\n" + identity + " " + std::to_string(billionths) + "\n";
  ContentHash checksum;
  checksum.AddText(text);
  return text + checksum.Hex() + "\n";
}

}  // namespace

TrialFile FindTrialFile(const std::string& name, const std::string& identity) {
  const std::string directory = CacheDirectory("precision");
  if (directory.empty()) return {"", identity};
  return {directory + "/" + CacheFileName(name, identity) + ".precision", identity};
}

std::optional<double> ReadTrial(const TrialFile& file) {
  if (file.path.empty()) return std::nullopt;
  // Not to wait for whatever else may have that name, nor to believe what another user left there.
  const int fd = open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (fd < 0) return std::nullopt;
  struct stat info {};
  const bool trusted = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
                       (info.st_uid == geteuid() || info.st_uid == 0);
  char bytes[512];  // twice what there should be
  const ssize_t size = trusted ? read(fd, bytes, sizeof(bytes)) : 0;
  close(fd);
  if (size <= 0) return std::nullopt;
  const std::string text(bytes, static_cast<size_t>(size));
  const size_t number = text.find(file.identity + " ");
  if (number == std::string::npos) return std::nullopt;
  int64_t billionths = 0;
  std::from_chars(text.data() + number + file.identity.size() + 1, text.data() + text.size(),
                  billionths);
  if (text != Format(file.identity, billionths)) return std::nullopt;
  return static_cast<double>(billionths) / kBillion;
}

Status WriteTrial(const TrialFile& file, double worst_cosine) {
  if (file.path.empty()) return {};
  const auto failed = [&](int why) {
    return NotFound("cannot write " + file.path + ": " + std::strerror(why) + ".");
  };
  std::error_code error;
  const std::string directory = fs::path(file.path).parent_path().string();
  // What somebody runs is nobody else's business. mkstemp says what is wrong, if anything.
  if (fs::create_directories(directory, error)) (void)chmod(directory.c_str(), 0700);
  std::string temporary = file.path + ".XXXXXX";
  const int fd = mkstemp(temporary.data());
  if (fd < 0) return failed(errno);
  int why = WriteAll(fd, Format(file.identity, std::llround(worst_cosine * kBillion)));
  if (close(fd) != 0 && why == 0) why = errno;
  if (why == 0 && rename(temporary.c_str(), file.path.c_str()) != 0) why = errno;
  if (why == 0) return {};
  (void)unlink(temporary.c_str());
  return failed(why);
}

}  // namespace cliptag
