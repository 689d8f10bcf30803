// Prompts: between their controller, the engine and the bus.
#include <utility>

#include "kernels/base/plain_text.h"
#include "plugin/elements/cliptag/call_later.h"
#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"
#include "plugin/elements/cliptag/prompts/message.h"

namespace cliptag {

void ClipTag::Encode(PromptSpec spec) {
  const std::lock_guard lock(control_mutex_);
  if (!stream_) return;
  stream_->SetPrompts(std::move(spec),
                      [this](Status status, std::shared_ptr<const PromptBank> bank) {
                        if (status.ok()) publisher_.ForgetTags();
                        prompts_.OnEncoded(std::move(status), std::move(bank));
                      });
}

void ClipTag::CallLater(std::function<void()> call) {
  cliptag::CallLater(element_, std::move(call));
}

// Prompts that cannot be used, a model that is not there, … stop the element at its start.
void ClipTag::PostStartError(const Status& status) {
  const std::string message = PlainSentence(status.message());
  const char* text = message.c_str();
  switch (status.code()) {
    case StatusCode::kNotFound:
      GST_ELEMENT_ERROR(element_, RESOURCE, NOT_FOUND, ("%s", text), (nullptr));
      return;
    case StatusCode::kInvalidArgument:
      GST_ELEMENT_ERROR(element_, RESOURCE, SETTINGS, ("%s", text), (nullptr));
      return;
    case StatusCode::kDataLoss:
      GST_ELEMENT_ERROR(element_, RESOURCE, READ, ("%s", text), (nullptr));
      return;
    case StatusCode::kResourceExhausted:
      GST_ELEMENT_ERROR(element_, RESOURCE, NO_SPACE_LEFT, ("%s", text), (nullptr));
      return;
    default:
      GST_ELEMENT_ERROR(element_, LIBRARY, INIT, ("%s", text), (nullptr));
  }
}

// An application may answer this warning at once with a property that is wrong as well. Its warning
// comes later, not within this one, which would never end.
void ClipTag::PromptsRefused(const Status& status) {
  thread_local bool warning = false;
  if (warning) {
    CallLater([this, status] { PromptsRefused(status); });
    return;
  }
  const std::string text = PlainSentence(status.message());
  warning = true;
  GST_ELEMENT_WARNING(element_, RESOURCE, SETTINGS,
                      ("%s The prompts stay as they were.", text.c_str()), (nullptr));
  warning = false;
}

void ClipTag::PromptsTaken(const PromptBank& bank, bool others) {
  double logit_bias = 0;
  {
    const std::lock_guard lock(control_mutex_);
    if (!engine_) return;  // stopped by now
    logit_bias = engine_->model().logit_bias;
  }
  if (!bank.truncated.empty()) {
    GST_ELEMENT_WARNING(
        element_, RESOURCE, SETTINGS,
        ("%zu of the prompts are too long for the model and were cut, the first of them: \"%s\".",
         bank.truncated.size(), PlainText(bank.truncated.front()).c_str()),
        (nullptr));
  }
  const Settings settings = this->settings();
  for (const std::string& sentence : PromptAdvice(bank.spec, settings.policy.scoring, logit_bias)) {
    GST_ELEMENT_WARNING(element_, RESOURCE, SETTINGS, ("%s", PlainText(sentence).c_str()),
                        (nullptr));
  }
  if (others && settings.frame.post_messages) publisher_.Post(MakePromptsStructure(bank));
}

}  // namespace cliptag
