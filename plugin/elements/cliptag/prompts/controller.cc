#include "plugin/elements/cliptag/prompts/controller.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/base/caught.h"
#include "models/prompts/exemplars.h"
#include "plugin/gst/pictures/picture_file.h"

namespace cliptag {
namespace {

bool HasPictures(const PromptSpec& spec) {
  return std::any_of(spec.tags.begin(), spec.tags.end(),
                     [](const TagSpec& tag) { return !tag.images.empty(); });
}

}  // namespace

PromptsController::Version PromptsController::Now() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

PromptSource PromptsController::settings() const { return Now().settings; }

bool PromptsController::IsWanted(uint64_t number) const {
  const std::lock_guard lock(mutex_);
  return now_.running && now_.number == number;
}

Result<PromptsController::First> PromptsController::Read() const {
  First first;
  first.settings = settings();
  first.stamp = FileWatch::StampOf(first.settings.prompts_file);
  CLIPTAG_ASSIGN_OR_RETURN(first.spec, ReadPromptSource(first.settings));
  CLIPTAG_RETURN_IF_ERROR(DecodeExemplars(ReadExemplar, &first.spec));
  return first;
}

void PromptsController::Start(First first) {
  std::unique_ptr<FileWatch> watch = Watch(first.settings, first.stamp);
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    state_ = State::kEncoding;
    host_->Encode(std::move(first.spec));
    now_.running = true;
    ++now_.number;
    watch_ = std::move(watch);
    changed = now_.settings != first.settings;
  }
  if (changed) Change([](PromptSource&) {});
}

void PromptsController::Stop() {
  std::unique_ptr<FileWatch> watch;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  watch.swap(watch_);
  now_.running = false;
  ++now_.number;
  state_ = State::kNone;
}

void PromptsController::Change(const std::function<void(PromptSource&)>& change) {
  for (bool taken = false; !taken;) {
    const Version begun = Now();
    PromptSource after = begun.settings;
    change(after);
    if (!begun.running) {
      const std::lock_guard lock(mutex_);
      taken = now_.number == begun.number;
      if (!taken) continue;
      now_.settings = std::move(after);
      ++now_.number;
      return;
    }
    const auto seen = FileWatch::StampOf(after.prompts_file);
    Result<PromptSpec> spec = ReadPromptSource(after);
    if (!spec.ok()) {
      host_->PromptsRefused(spec.status());
      return;
    }
    taken = Take(begun, spec.Take(), &after, seen);  // else again, on top of the newer change
  }
}

std::unique_ptr<FileWatch> PromptsController::Watch(const PromptSource& settings,
                                                    FileWatch::Stamp seen) {
  if (settings.prompts_file.empty()) return nullptr;
  // Not on the polling thread: reading may take long.
  return std::make_unique<FileWatch>(settings.prompts_file, seen, [this](auto change) {
    host_->CallLater([this, change] { OnFile(change); });
  });
}

void PromptsController::OnFile(FileWatch::Change change) {
  for (bool taken = false; !taken;) {
    const Version begun = Now();
    const std::string& file = begun.settings.prompts_file;
    if (!begun.running || file.empty()) return;
    const Status status = Catching([&]() -> Status {
      if (change == FileWatch::Change::kGone)
        return NotFound("The prompts file " + file + " is gone.");
      CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, ReadPromptSource(begun.settings));
      taken = Take(begun, std::move(spec), nullptr, {});
      return {};
    });
    if (!status.ok()) {
      host_->PromptsRefused(status);
      return;
    }
  }
}

bool PromptsController::Take(const Version& begun, PromptSpec spec, const PromptSource* settings,
                             FileWatch::Stamp seen) {
  const bool other_file =
      settings != nullptr && settings->prompts_file != begun.settings.prompts_file;
  // The old one is destroyed without the lock.
  std::unique_ptr<FileWatch> watch = other_file ? Watch(*settings, seen) : nullptr;
  const std::lock_guard lock(mutex_);
  if (!now_.running || now_.number != begun.number) return false;
  const uint64_t number = now_.number + 1;
  if (HasPictures(spec)) {
    Decode(number, std::move(spec));
  } else {
    host_->Encode(std::move(spec));
  }
  now_.number = number;
  if (settings != nullptr) now_.settings = *settings;
  if (other_file) watch_.swap(watch);
  return true;
}

void PromptsController::Decode(uint64_t number, PromptSpec spec) {
  // std::function has to be copyable.
  host_->CallLater([this, number, spec = std::make_shared<PromptSpec>(std::move(spec))] {
    const auto decode = [&](const std::string& path) -> Result<ExemplarPicture> {
      if (!IsWanted(number)) return Cancelled("newer prompts were set");
      return ReadExemplar(path);
    };
    const Status status = Catching([&] { return DecodeExemplars(decode, spec.get()); });
    if (!status.ok()) {
      if (IsWanted(number)) host_->PromptsRefused(status);
      return;
    }
    const std::lock_guard lock(mutex_);
    if (now_.running && now_.number == number) host_->Encode(std::move(*spec));
  });
}

void PromptsController::OnEncoded(Status status, std::shared_ptr<const PromptBank> bank) {
  if (status.code() == StatusCode::kCancelled) return;  // newer prompts, or the end
  if (status.ok()) {
    const bool others = state_.exchange(State::kReady) == State::kReady;
    host_->PromptsStateChanged();
    if (!bank) return;
    host_->CallLater(
        [this, bank = std::move(bank), others] { host_->PromptsTaken(*bank, others); });
    return;
  }
  State first = State::kEncoding;
  const bool fails = state_.compare_exchange_strong(first, State::kFailing);
  host_->CallLater([this, fails, status = std::move(status)] {
    if (!fails) return host_->PromptsRefused(status);
    host_->PromptsFailed(status);
    State failing = State::kFailing;
    if (state_.compare_exchange_strong(failing, State::kFailed)) host_->PromptsStateChanged();
  });
}

}  // namespace cliptag
