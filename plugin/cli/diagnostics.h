// What the tool says beside its results: errors and warnings on stderr, one sentence each, and a
// progress line where somebody is watching.
//
// Thread safety: PrintError, PrintWarning and MuteStderr from any thread; a Progress belongs to
// one.
#pragma once

#include <cstddef>
#include <string>

#include "kernels/base/status.h"

namespace cliptag {

// Maps the core's log to stderr: warnings and errors always, the rest when `verbose`.
void InitDiagnostics(bool verbose);

void PrintError(const std::string& message);    // "cliptag: error: …"
void PrintWarning(const std::string& message);  // "cliptag: warning: …"
void PrintNote(const std::string& message);     // "cliptag: …": what is being waited for
// The exit code of a command that ended so: 1 after an error, which is printed, and where it has
// left out files that it could not read, which it has printed itself.
int ExitCode(const Status& status, bool bad_files = false);

// Everything written to standard output so far has arrived there.
Status FlushOutput();

// A line of counts that rewrites itself, shown on a terminal only and gone when it is destroyed.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  static bool OnTerminal();  // whether anything is shown
  // Shows the line unless the last one was shown a moment ago.
  void Show(const std::string& line);
  void Clear();  // removes the line

 private:
  double shown_s_ = -1;
};

// While one lives, what libraries write to stderr goes nowhere (libpng, libtiff and OpenCV print
// beside returning an error; the tool has its own sentence for that). PrintError and PrintWarning
// still come through. Does nothing when the tool is verbose.
class MuteStderr {
 public:
  MuteStderr();
  ~MuteStderr();
  MuteStderr(const MuteStderr&) = delete;
  MuteStderr& operator=(const MuteStderr&) = delete;
};

}  // namespace cliptag
