#include "plugin/elements/cliptag/prompts_watcher.h"

#include <utility>

#include "kernels/base/caught.h"

namespace cliptag {

PromptsWatcher::Stamp PromptsWatcher::StampOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  return {true, info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

PromptsWatcher::PromptsWatcher(std::string path, Stamp seen, std::chrono::milliseconds poll,
                               Callback callback, Keep keep)
    : state_(new State{std::move(path), poll, std::move(callback), std::move(keep), seen, {}, {}}),
      thread_([state = state_] { Run(*state); }) {}

PromptsWatcher::~PromptsWatcher() {
  bool calling = false;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    calling = state_->calling;
  }
  state_->stop.notify_all();
  // In a callback it may be what destroys this, or wait for who does.
  if (calling) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

void PromptsWatcher::Run(State& state) {
  Stamp last = state.seen;
  std::unique_lock lock(state.mutex);
  while (!state.stop.wait_for(lock, state.poll, [&] { return state.stopping; })) {
    lock.unlock();
    const Stamp now = StampOf(state.path);
    if (now == last && now != state.seen) {
      state.seen = now;
      Call(state, now.exists ? Change::kContent : Change::kGone);
    }
    last = now;
    lock.lock();
  }
}

void PromptsWatcher::Call(State& state, Change change) {
  std::shared_ptr<void> kept;
  try {
    {
      const std::lock_guard lock(state.mutex);
      if (state.stopping) return;  // and who is called may be gone
      kept = state.keep();
      state.calling = true;
    }
    state.callback(change);
  } catch (...) {
    LogCaughtException("The prompts file's new content was not taken");
  }
  kept.reset();  // perhaps the last: then the watcher goes with it, still within its callback
  const std::lock_guard lock(state.mutex);
  state.calling = false;
}

}  // namespace cliptag
