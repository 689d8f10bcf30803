#include "plugin/elements/cliptag/output/queue.h"

#include <algorithm>
#include <iterator>

namespace cliptag {

bool HeldFrame::Map(BufferPtr buffer, const GstVideoInfo& info, GstMapFlags flags) {
  buffer_ = std::move(buffer);
  const auto all = static_cast<GstMapFlags>(int{flags} | int{GST_VIDEO_FRAME_MAP_FLAG_NO_REF});
  mapped_ = gst_video_frame_map(&frame_, &info, buffer_.get(), all);
  return mapped_;
}

void HeldFrame::Unmap() {
  if (mapped_) gst_video_frame_unmap(&frame_);
  mapped_ = false;
}

GstFlowReturn OutputQueue::WaitForRoom(size_t bound, const std::function<void()>& when_full) {
  std::unique_lock lock(mutex_);
  if (flow_ == GST_FLOW_OK && frames_ >= bound && when_full) {
    lock.unlock();
    when_full();
    lock.lock();
  }
  changed_.wait(lock, [&] { return flow_ != GST_FLOW_OK || frames_ < bound; });
  return flow_;
}

bool OutputQueue::Add(Item item) {
  {
    const std::lock_guard lock(mutex_);
    if (flow_ == GST_FLOW_FLUSHING) return false;
    if (item.is_frame()) {
      if (flow_ != GST_FLOW_OK) return false;
      ++frames_;
    }
    items_.push_back(std::move(item));
  }
  changed_.notify_all();
  return true;
}

// Downstream wants no more frames at GST_FLOW_EOS, but still the events that end or renew the
// stream.
bool OutputQueue::EventsFlow() const { return flow_ == GST_FLOW_OK || flow_ == GST_FLOW_EOS; }

bool OutputQueue::IsIdle() const {
  const std::lock_guard lock(mutex_);
  return EventsFlow() && items_.empty() && !pushing_;
}

bool OutputQueue::WaitIdle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !EventsFlow() || (items_.empty() && !pushing_); });
  return EventsFlow();
}

bool OutputQueue::WaitUntil(const std::function<bool()>& ready) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return flow_ != GST_FLOW_OK || ready(); });
  return flow_ == GST_FLOW_OK;
}

void OutputQueue::Wake() {
  // Locked, so that a waiter that has just checked does not miss it.
  { const std::lock_guard lock(mutex_); }
  changed_.notify_all();
}

bool OutputQueue::HeadReady() const {
  return !items_.empty() && (!items_.front().held || items_.front().held->done_);
}

bool OutputQueue::Take(Item* item) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return flow_ == GST_FLOW_FLUSHING || (EventsFlow() && HeadReady()); });
  if (flow_ == GST_FLOW_FLUSHING) return false;
  *item = std::move(items_.front());
  items_.pop_front();
  // A frame counts until it has been pushed: one that blocks downstream still takes its room.
  pushing_ = true;
  return true;
}

void OutputQueue::Pushed(GstFlowReturn flow) {
  std::deque<Item> dropped;  // destroyed without the lock
  {
    const std::lock_guard lock(mutex_);
    pushing_ = false;
    if (flow_ == GST_FLOW_OK) flow_ = flow;
    if (flow != GST_FLOW_OK) {
      const auto frames = std::stable_partition(items_.begin(), items_.end(),
                                                [](const Item& i) { return !i.is_frame(); });
      std::move(frames, items_.end(), std::back_inserter(dropped));
      items_.erase(frames, items_.end());
    }
    frames_ = static_cast<size_t>(
        std::count_if(items_.begin(), items_.end(), [](const Item& i) { return i.is_frame(); }));
  }
  changed_.notify_all();
}

void OutputQueue::Complete(HeldFrame& held, InferenceResult result) {
  held.Unmap();  // before anyone can see it as done
  {
    const std::lock_guard lock(mutex_);
    held.result = std::move(result);
    held.done_ = true;
  }
  changed_.notify_all();
}

GstFlowReturn OutputQueue::flow() const {
  const std::lock_guard lock(mutex_);
  return flow_;
}

void OutputQueue::Stop(GstFlowReturn flow) {
  {
    const std::lock_guard lock(mutex_);
    flow_ = flow;
  }
  changed_.notify_all();
}

void OutputQueue::Reset() {
  std::deque<Item> dropped;  // destroyed without the lock: unref may call out
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(items_);
    frames_ = 0;
    pushing_ = false;
    flow_ = GST_FLOW_OK;
  }
  changed_.notify_all();
}

bool OutputQueue::ResumeFrom(GstFlowReturn flow) {
  {
    const std::lock_guard lock(mutex_);
    if (flow_ != flow) return false;
    flow_ = GST_FLOW_OK;
  }
  changed_.notify_all();
  return true;
}

bool OutputQueue::HoldsEos() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(items_.begin(), items_.end(), [](const Item& i) {
    return i.event && GST_EVENT_TYPE(i.event.get()) == GST_EVENT_EOS;
  });
}

size_t OutputQueue::frames() const {
  const std::lock_guard lock(mutex_);
  return frames_;
}

}  // namespace cliptag
