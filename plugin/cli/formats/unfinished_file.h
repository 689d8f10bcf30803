// A file that Ctrl-C must not leave behind: while one of these exists, SIGINT, SIGTERM and SIGHUP
// remove the file before they end the program, as they would have anyway. A signal that is ignored
// (nohup) stays so.
//
// Thread safety: one object in a process at a time; signals may come on any thread.
#pragma once

#include <string>

namespace cliptag {

class UnfinishedFile {
 public:
  // Before the file is made: a signal between the two would leave it.
  explicit UnfinishedFile(const std::string& path);
  ~UnfinishedFile();  // the file is somebody else's concern again
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;
};

}  // namespace cliptag
