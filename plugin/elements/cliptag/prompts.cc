// Prompts: from properties or a file to the engine, at the start and while it plays.
#include <utility>

#include "kernels/base/caught.h"
#include "kernels/base/plain_text.h"
#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"
#include "plugin/elements/cliptag/prompts_message.h"
#include "plugin/gst/pictures/picture_file.h"

namespace cliptag {
namespace {

constexpr auto kPollPeriod = std::chrono::milliseconds(100);

}  // namespace

// A prompts file that cannot be used, no prompts, an empty label, … stop the element at its start.
void ClipTag::PostStartError(GstElement* element, const Status& status) {
  const std::string message = PlainSentence(status.message());
  const char* text = message.c_str();
  switch (status.code()) {
    case StatusCode::kNotFound:
      GST_ELEMENT_ERROR(element, RESOURCE, NOT_FOUND, ("%s", text), (nullptr));
      return;
    case StatusCode::kInvalidArgument:
      GST_ELEMENT_ERROR(element, RESOURCE, SETTINGS, ("%s", text), (nullptr));
      return;
    case StatusCode::kDataLoss:
      GST_ELEMENT_ERROR(element, RESOURCE, READ, ("%s", text), (nullptr));
      return;
    case StatusCode::kResourceExhausted:
      GST_ELEMENT_ERROR(element, RESOURCE, NO_SPACE_LEFT, ("%s", text), (nullptr));
      return;
    default:
      GST_ELEMENT_ERROR(element, LIBRARY, INIT, ("%s", text), (nullptr));
  }
}

Result<PromptSpec> ClipTag::BuildSpec(const PromptSettings& settings) {
  const bool from_file = !settings.prompts_file.empty();
  if (!from_file && settings.prompts.find_first_not_of(" \t\r\n") == std::string::npos) {
    return InvalidArgument("There are no prompts: set prompts=\"a cat; a dog\" or prompts-file.");
  }
  CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, from_file ? ReadPromptsFile(settings.prompts_file)
                                                      : ParsePrompts(settings.prompts));
  if (spec.tags.empty()) {
    return InvalidArgument("The prompts file " + settings.prompts_file + " names nothing to tag.");
  }
  if (spec.templates.empty() && !settings.templates.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(spec.templates, SplitList(settings.templates, "templates"));
  }
  if (spec.background.empty() && !settings.background.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(spec.background, SplitList(settings.background, "background prompts"));
  }
  CLIPTAG_RETURN_IF_ERROR(DecodeExemplars(ReadExemplar, &spec));
  return spec;
}

std::unique_ptr<PromptsWatcher> ClipTag::Watch(const PromptSettings& settings,
                                               PromptsWatcher::Stamp seen) {
  if (settings.prompts_file.empty()) return nullptr;
  return std::make_unique<PromptsWatcher>(
      settings.prompts_file, seen, kPollPeriod, [this](auto change) { OnPromptsFile(change); },
      [element = element_] {
        return std::shared_ptr<void>(gst_object_ref(element), gst_object_unref);
      });
}

// Files are read without a lock: a stop does not wait for a long one.
void ClipTag::OnPromptsFile(PromptsWatcher::Change change) {
  for (bool taken = false; !taken;) {
    PromptSettings prompts;
    uint64_t begun = 0;
    {
      const std::lock_guard lock(prompts_mutex_);
      if (!running()) return;
      prompts = settings().prompts;
      begun = prompts_change_;
    }
    if (prompts.prompts_file.empty()) return;  // no longer asked for
    const Status status = Catching([&]() -> Status {
      if (change == PromptsWatcher::Change::kGone)
        return NotFound("The prompts file " + prompts.prompts_file + " is gone.");
      CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, BuildSpec(prompts));
      const std::lock_guard lock(prompts_mutex_);
      taken = begun == prompts_change_;  // else again, with the settings that there are now
      if (taken) ApplyPrompts(std::move(spec));
      return {};
    });
    if (!status.ok()) {
      WarnPromptsStay(status);
      return;
    }
  }
}

// Whoever answers it at once by a property that is wrong as well, a prompts file still being the
// bad one for instance, is answered later: not within the answer, without end.
void ClipTag::WarnPromptsStay(const Status& status) {
  thread_local bool warning = false;
  if (warning) {
    CallLater([this, status] { WarnPromptsStay(status); });
    return;
  }
  const std::string text = PlainSentence(status.message());
  warning = true;
  GST_ELEMENT_WARNING(element_, RESOURCE, SETTINGS,
                      ("%s The prompts stay as they were.", text.c_str()), (nullptr));
  warning = false;
}

void ClipTag::ApplyPrompts(PromptSpec spec) {
  const std::lock_guard lock(control_mutex_);
  if (!stream_) return;
  stream_->SetPrompts(std::move(spec),
                      [this](Status status, std::shared_ptr<const PromptBank> bank) {
                        OnPromptsEncoded(std::move(status), std::move(bank));
                      });
}

void ClipTag::CallLater(std::function<void()> call) {
  // GStreamer's queue of calls orders the threads for everyone but ThreadSanitizer, which does not
  // see GLib's locks: `handed` says it again.
  struct Call {
    std::function<void()> run;
    std::atomic<bool> handed{false};
  };
  auto* const data = new Call{.run = std::move(call)};
  data->handed.store(true, std::memory_order_release);
  gst_element_call_async(
      element_,
      [](GstElement*, gpointer user) {
        auto& later = *static_cast<Call*>(user);
        if (later.handed.load(std::memory_order_acquire)) later.run();
      },
      data, [](gpointer user) { delete static_cast<Call*>(user); });
}

// On the engine's worker, which serves other elements, too, and which a stop waits for.
void ClipTag::OnPromptsEncoded(Status status, std::shared_ptr<const PromptBank> bank) {
  if (status.code() == StatusCode::kCancelled) return;  // newer prompts, or the end
  if (status.ok()) {
    const bool others = prompts_.exchange(Prompts::kReady) == Prompts::kReady;
    tag_counts_.Forget();
    queue_.Wake();
    // The later call may run when the next model is being loaded.
    if (bank) {
      CallLater([this, bank = std::move(bank), others, logit_bias = logit_bias_] {
        TellPrompts(*bank, others, logit_bias);
      });
    }
    return;
  }
  Prompts first = Prompts::kEncoding;
  if (!prompts_.compare_exchange_strong(first, Prompts::kFailing)) {
    CallLater([this, status = std::move(status)] { WarnPromptsStay(status); });
    return;
  }
  CallLater([this, status = std::move(status)] {
    PostStartError(element_, status);
    Prompts failing = Prompts::kFailing;
    if (prompts_.compare_exchange_strong(failing, Prompts::kFailed)) queue_.Wake();
  });
}

void ClipTag::TellPrompts(const PromptBank& bank, bool others, double logit_bias) {
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
  if (others && settings.frame.post_messages) Post(MakePromptsStructure(bank));
}

void ClipTag::ChangePrompts(const std::function<void(PromptSettings&)>& change) {
  for (bool taken = false; !taken;) {
    PromptSettings before;
    uint64_t begun = 0;
    bool live = false;
    {
      const std::lock_guard lock(prompts_mutex_);
      before = settings().prompts;
      begun = prompts_change_;
      live = running();
    }
    PromptSettings after = before;
    change(after);
    const auto seen = PromptsWatcher::StampOf(after.prompts_file);
    Result<PromptSpec> spec = live ? BuildSpec(after) : Result<PromptSpec>(PromptSpec());
    if (!spec.ok()) {
      WarnPromptsStay(spec.status());
      return;
    }
    const bool other_file = live && after.prompts_file != before.prompts_file;
    std::unique_ptr<PromptsWatcher> watcher = other_file ? Watch(after, seen) : nullptr;
    const std::lock_guard lock(prompts_mutex_);
    taken = begun == prompts_change_ && live == running();  // else again, on top of what came
    if (!taken) continue;
    ++prompts_change_;
    {
      const std::lock_guard settings_lock(settings_mutex_);
      settings_.prompts = after;
    }
    if (other_file) watcher_.swap(watcher);  // the old one goes without the lock
    if (live) ApplyPrompts(spec.Take());
  }
}

}  // namespace cliptag
