// A call on a thread of its own that is expected to block: instead of sleeping and then finding
// that nothing has happened, a test waits until the thread sleeps in the call. Linux alone: the
// kernel says what a thread does.
#pragma once

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "tests/elements/gst_test.h"

namespace cliptag::test {

class BlockingCall {
 public:
  explicit BlockingCall(std::function<void()> call)
      : thread_([this, call = std::move(call)] {
          thread_id_ = gettid();
          call();
          returned_ = true;
        }) {}
  ~BlockingCall() { Join(); }
  BlockingCall(const BlockingCall&) = delete;
  BlockingCall& operator=(const BlockingCall&) = delete;

  // Waits until the thread sleeps in the call or has returned from it; true for the former.
  bool Blocks() {
    EXPECT_TRUE(WaitFor([&] { return returned_ || Sleeps(); }));
    return !returned_;
  }
  void Join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  bool Sleeps() const {
    std::ifstream file("/proc/self/task/" + std::to_string(thread_id_) + "/stat");
    const std::string line{std::istreambuf_iterator<char>(file), {}};
    const size_t name_end = line.rfind(')');  // ID (NAME) STATE
    return thread_id_ != 0 && name_end != std::string::npos && line.substr(name_end, 3) == ") S";
  }

  std::atomic<pid_t> thread_id_{0};
  std::atomic<bool> returned_{false};
  std::thread thread_;  // last: it uses the others
};

}  // namespace cliptag::test
