// How many frames a second are inferred, and whether the machine keeps up with what is asked for.
//
// Thread safety: Due(), Measure() and OnFlush() belong to the streaming thread; any thread may call
// the others.
#pragma once

#include <glib.h>

#include <atomic>
#include <utility>

namespace cliptag {

class RateMeter {
 public:
  void Due() { ++due_; }
  void Inferred() { ++inferred_; }

  // At every frame. True when the machine has become too slow for the first time since Clear():
  // frames were due `due_per_s` times a second by then, and inferred rate() times.
  bool Measure(gint64 now_us) {
    if (since_us_ == 0) {
      since_us_ = now_us;
      due_ = inferred_ = 0;
      slow_windows_ = 0;
      return false;
    }
    if (now_us - since_us_ < kWindow) return false;
    const double seconds = static_cast<double>(now_us - since_us_) / G_USEC_PER_SEC;
    const auto inferred = static_cast<double>(inferred_.exchange(0));
    rate_ = inferred / seconds;
    due_per_s_ = static_cast<double>(due_) / seconds;
    // The first and the last answer of a window belong to its neighbours.
    const bool slow = inferred + 1 < kReached * static_cast<double>(due_);
    slow_windows_ = slow ? slow_windows_ + 1 : 0;
    too_slow_ = slow_windows_ >= kSlowWindows;
    since_us_ = now_us;
    due_ = 0;
    return too_slow_ && !std::exchange(reported_, true);
  }
  void OnFlush() { since_us_ = 0; }

  double due_per_s() const { return due_per_s_; }
  double rate() const { return rate_; }  // inferred a second, in the last window
  bool too_slow() const { return too_slow_; }
  void Clear() {
    since_us_ = 0;
    rate_ = 0;
    too_slow_ = reported_ = false;
  }

 private:
  static constexpr gint64 kWindow = 2 * G_USEC_PER_SEC;
  // Of what was due; less than this in that many windows in a row is too slow.
  static constexpr double kReached = 0.9;
  static constexpr guint kSlowWindows = 2;

  gint64 since_us_ = 0;  // 0 = no window has begun
  guint64 due_ = 0;
  guint slow_windows_ = 0;
  double due_per_s_ = 0;
  bool reported_ = false;
  std::atomic<guint64> inferred_{0};
  std::atomic<double> rate_{0};
  std::atomic<bool> too_slow_{false};
};

}  // namespace cliptag
