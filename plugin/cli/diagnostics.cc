#include "plugin/cli/diagnostics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <mutex>

#include "kernels/base/log.h"
#include "kernels/base/plain_text.h"

namespace cliptag {
namespace {

struct State {
  std::mutex mutex;
  int stderr_fd = STDERR_FILENO;  // the real one, whatever MuteStderr does to the number 2
  bool verbose = false;
  bool terminal = false;
  bool line_shown = false;  // a progress line stands where the next message must begin
  int mute_depth = 0;
};

State& GetState() {
  static State* state = new State;  // never destroyed: threads may still log while the process ends
  return *state;
}

void WriteAll(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = write(fd, text.data() + done, text.size() - done);
    if (n <= 0) return;  // also at a signal: a message may be cut
    done += static_cast<size_t>(n);
  }
}

void Print(const char* kind, const std::string& message) {
  State& state = GetState();
  std::lock_guard lock(state.mutex);
  std::string text = state.line_shown ? "\r\033[K" : "";
  state.line_shown = false;
  // A sentence quotes what strangers' files say, and this is a terminal.
  text.append("cliptag: ").append(kind).append(PlainText(message)).append("\n");
  WriteAll(state.stderr_fd, text);
}

double NowSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

void InitDiagnostics(bool verbose) {
  State& state = GetState();
  {
    std::lock_guard lock(state.mutex);
    state.verbose = verbose;
    state.terminal = isatty(STDERR_FILENO) == 1;
    if (state.stderr_fd == STDERR_FILENO) {
      const int copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
      if (copy >= 0) state.stderr_fd = copy;
    }
  }
  SetLogCallback([verbose](LogLevel level, const std::string& message) {
    if (level == LogLevel::kError) PrintError(message);
    if (level == LogLevel::kWarning) PrintWarning(message);
    if (verbose && level == LogLevel::kInfo) Print("", message);
    if (verbose && level == LogLevel::kDebug) Print("debug: ", message);
  });
}

void PrintError(const std::string& message) { Print("error: ", message); }
void PrintWarning(const std::string& message) { Print("warning: ", message); }

void PrintNote(const std::string& message) { Print("", message); }

int ExitCode(const Status& status, bool bad_files) {
  if (!status.ok()) PrintError(status.message());
  return status.ok() && !bad_files ? 0 : 1;
}

Progress::Progress() = default;

Progress::~Progress() { Clear(); }

void Progress::Clear() {
  State& state = GetState();
  std::lock_guard lock(state.mutex);
  if (state.line_shown) WriteAll(state.stderr_fd, "\r\033[K");
  state.line_shown = false;
}

bool Progress::OnTerminal() {
  State& state = GetState();
  std::lock_guard lock(state.mutex);
  return state.terminal;
}

void Progress::Show(const std::string& line) {
  constexpr double kRedrawSeconds = 0.1;
  State& state = GetState();
  std::lock_guard lock(state.mutex);
  const double now_s = NowSeconds();
  if (!state.terminal || (shown_s_ >= 0 && now_s - shown_s_ < kRedrawSeconds)) return;
  shown_s_ = now_s;
  state.line_shown = true;
  WriteAll(state.stderr_fd, "\r\033[K" + line);
}

MuteStderr::MuteStderr() {
  State& state = GetState();
  std::lock_guard lock(state.mutex);
  // Without a copy of the real stderr there would be no way back.
  if (state.verbose || state.stderr_fd == STDERR_FILENO || state.mute_depth++ > 0) return;
  const int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null_fd < 0) return;
  std::fflush(stderr);
  dup2(null_fd, STDERR_FILENO);
  close(null_fd);
}

MuteStderr::~MuteStderr() {
  State& state = GetState();
  std::lock_guard lock(state.mutex);
  if (state.verbose || state.stderr_fd == STDERR_FILENO || --state.mute_depth > 0) return;
  std::fflush(stderr);
  dup2(state.stderr_fd, STDERR_FILENO);
}

Status FlushOutput() {
  errno = 0;
  std::cout.flush();
  if (std::cout.good()) return {};
  return ResourceExhausted(std::string("cannot write to standard output: ") +
                           (errno ? std::strerror(errno) : "it does not take all of it"));
}

}  // namespace cliptag
