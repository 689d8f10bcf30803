#include "plugin/cli/hub/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace cliptag {

Result<std::unique_ptr<FileLock>> FileLock::Take(const std::string& path,
                                                 const std::function<Status()>& waiting) {
  const auto cannot = [&](int error) {
    return InvalidArgument("Cannot lock " + path + ": " + std::strerror(error) + ".");
  };
  while (true) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return cannot(errno);
    std::unique_ptr<FileLock> lock;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      Status status = error == EWOULDBLOCK || error == EINTR ? waiting() : cannot(error);
      if (!status.ok()) {
        close(fd);
        return status;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    // Who held it may have removed it meanwhile: then it is a file that nobody else will find.
    struct stat ours {
    }, theirs{};
    if (fstat(fd, &ours) == 0 && stat(path.c_str(), &theirs) == 0 && ours.st_ino == theirs.st_ino &&
        ours.st_dev == theirs.st_dev) {
      return std::unique_ptr<FileLock>(new FileLock(path, fd));
    }
    close(fd);
  }
}

FileLock::~FileLock() {
  unlink(path_.c_str());
  close(fd_);
}

}  // namespace cliptag
