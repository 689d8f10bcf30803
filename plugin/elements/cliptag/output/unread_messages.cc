#include "plugin/elements/cliptag/output/unread_messages.h"

#include <memory>

namespace cliptag {
namespace {

struct ObjectUnref {
  void operator()(gpointer object) const { gst_object_unref(object); }
};
struct MessageUnref {
  void operator()(GstMessage* message) const { gst_message_unref(message); }
};

// A bin hands messages on to its own parent: they wait on the topmost bus.
std::unique_ptr<GstBus, ObjectUnref> TopmostBus(GstElement* element) {
  std::unique_ptr<GstObject, ObjectUnref> top(GST_OBJECT(gst_object_ref(element)));
  while (GstObject* parent = gst_object_get_parent(top.get())) top.reset(parent);
  return std::unique_ptr<GstBus, ObjectUnref>(
      GST_IS_ELEMENT(top.get()) ? gst_element_get_bus(GST_ELEMENT(top.get())) : nullptr);
}

}  // namespace

bool UnreadMessages::HasRoom(GstElement* element, size_t most) {
  const auto bus = TopmostBus(element);
  const std::unique_ptr<GstMessage, MessageUnref> head(bus ? gst_bus_peek(bus.get()) : nullptr);
  const std::lock_guard lock(mutex_);
  if (!head) {
    head_ = nullptr;
    return true;
  }
  const guint32 number = gst_message_get_seqnum(head.get());
  if (GST_MESSAGE_TYPE(head.get()) == GST_MESSAGE_ELEMENT) {
    head_ = nullptr;
    if (posted_.size() < most) return true;
    // Numbers grow, and wrap.
    return static_cast<gint32>(posted_[posted_.size() - most] - number) < 0;
  }
  // The number of another message may be that of an older event.
  if (head_ != head.get() || head_number_ != number) {
    head_ = head.get();
    head_number_ = number;
    posted_at_head_ = posted_count_;
  }
  return posted_count_ - posted_at_head_ < most;
}

void UnreadMessages::Posted(GstMessage* message) {
  const std::lock_guard lock(mutex_);
  ++posted_count_;
  posted_.push_back(gst_message_get_seqnum(message));
  if (posted_.size() > kMostKnown) posted_.pop_front();
}

void UnreadMessages::Clear() {
  const std::lock_guard lock(mutex_);
  posted_.clear();
  posted_count_ = posted_at_head_ = 0;
  head_ = nullptr;
}

}  // namespace cliptag
