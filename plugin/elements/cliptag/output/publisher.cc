#include "plugin/elements/cliptag/output/publisher.h"

#include <utility>

#include "kernels/base/plain_text.h"
#include "plugin/elements/meta/meta.h"

namespace cliptag {
namespace {

// Messages on a bus that nobody reads: a minute's at 25 inferences a second and more.
constexpr size_t kMostUnread = UnreadMessages::kMostKnown / 2;

}  // namespace

void Publisher::Start() {
  warned_ = false;
  tag_counts_.Forget();
  ages_.Clear();
  unread_.Clear();
  frames_tagged_ = skipped_still_ = messages_dropped_ = 0;
}

bool Publisher::Publish(const AnswerPtr& answer, guint64 age, const Options& options) {
  const InferenceResult& result = answer->result;
  if (!result.status.ok()) {
    if (result.status.code() != StatusCode::kCancelled && !std::exchange(warned_, true)) {
      GST_ELEMENT_WARNING(
          element_, LIBRARY, FAILED,
          ("%s The frame passes without tags.", PlainSentence(result.status.message()).c_str()),
          (nullptr));
    }
    return false;
  }
  tag_counts_.Add(result);
  active_.Follow(result);
  last_ = answer;
  ++(result.still ? skipped_still_ : frames_tagged_);
  if (options.post_messages) {
    ResultContext context = answer->context;
    context.attach_embedding = options.attach_embedding;
    context.age = age;
    if (!result.still) Post(MakeResultStructure("cliptag", context, result));
    for (const TagEvent& event : result.events) Post(MakeEventStructure(event));
  }
  return !result.tags.empty();
}

BufferPtr Publisher::Attach(BufferPtr buffer, const Answer& answer, guint64 age,
                            const Options& options) {
  ResultContext context = answer.context;
  context.age = age;
  context.attach_embedding = options.attach_embedding;
  ages_.Add(age);
  // Shares the memory, so the pixels stay where they are.
  buffer.reset(gst_buffer_make_writable(buffer.release()));
  AttachResult(buffer.get(), context, answer.result);
  return buffer;
}

void Publisher::EndActive(const Options& options) {
  last_.reset();
  const std::vector<TagEvent> ends = active_.End();
  for (const TagEvent& event : ends) tag_counts_.EndOf(event.label);
  tag_counts_.NoneActive();
  if (!options.post_messages) return;
  for (const TagEvent& event : ends) Post(MakeEventStructure(event));
}

// A bus that nobody reads keeps what is posted on it. Events are few, and are dropped later.
void Publisher::Post(GstStructure* structure) {
  const bool event = !gst_structure_has_name(structure, "cliptag");
  if (unread_.HasRoom(element_, event ? 2 * kMostUnread : kMostUnread)) {
    GstMessage* message = gst_message_new_element(GST_OBJECT(element_), structure);
    unread_.Posted(message);
    gst_element_post_message(element_, message);
    return;
  }
  gst_structure_free(structure);
  if (messages_dropped_++ > 0) return;
  GST_ELEMENT_WARNING(
      element_, RESOURCE, BUSY,
      ("Nobody reads the bus: %zu messages wait there, and no more are posted until some are read. "
       "Pop them, let a sync handler return GST_BUS_DROP, or set post-messages=false.",
       kMostUnread),
      (nullptr));
}

}  // namespace cliptag
