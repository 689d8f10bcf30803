#include "plugin/elements/cliptag/output/live_tags.h"

#include <iterator>
#include <utility>

namespace cliptag {

unsigned LiveTags::Begin() {
  const std::lock_guard lock(mutex_);
  ++awaited_;
  return era_;
}

void LiveTags::Arrived(unsigned era, std::shared_ptr<Answer> answer) {
  const std::lock_guard lock(mutex_);
  --awaited_;
  if (answer->result.status.code() == StatusCode::kCancelled) return;
  if (answer->result.still && newest_) answer->StandOn(*newest_);
  if (era == era_ && answer->result.status.ok()) newest_ = answer;
  unposted_.push_back(std::move(answer));
}

std::vector<AnswerPtr> LiveTags::Take() {
  const std::lock_guard lock(mutex_);
  std::vector<AnswerPtr> answers(std::make_move_iterator(unposted_.begin()),
                                 std::make_move_iterator(unposted_.end()));
  unposted_.clear();
  return answers;
}

AnswerPtr LiveTags::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

bool LiveTags::awaits_any() const {
  const std::lock_guard lock(mutex_);
  return awaited_ > 0;
}

bool LiveTags::is_busy() const {
  const std::lock_guard lock(mutex_);
  return awaited_ > 0 || !unposted_.empty();
}

void LiveTags::Forget() {
  AnswerPtr old;
  const std::lock_guard lock(mutex_);
  ++era_;
  old.swap(newest_);
}

void LiveTags::Drop() {
  std::deque<AnswerPtr> dropped;
  Forget();
  const std::lock_guard lock(mutex_);
  dropped.swap(unposted_);
}

}  // namespace cliptag
