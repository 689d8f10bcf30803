// One engine for all requests of the same model on the same device in the same precision.
#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "kernels/base/caught.h"
#include "models/config/find_model.h"
#include "models/load_model.h"
#include "plugin/engine/engine.h"

namespace cliptag {
namespace {

struct Shared {
  std::string directory;
  BackendOptions asked;
  std::weak_ptr<Engine> engine;
};

// What is known of the engines of this process. Never destroyed: elements may outlive main().
struct Registry {
  std::mutex mutex;
  std::condition_variable made;
  std::vector<Shared> engines;      // guarded by mutex, as the next
  std::vector<std::string> making;  // directories whose model is being loaded
};

Registry& TheRegistry() {
  static auto* const registry = new Registry;
  return *registry;
}

// A model that is being loaded: other callers that want it wait until this is gone, however the
// loading ends. Made with the registry's mutex held, destroyed without it.
class Making {
 public:
  Making(Registry& registry, const std::string& directory)
      : registry_(registry), directory_(directory) {
    registry_.making.push_back(directory_);
  }
  ~Making() {
    {
      const std::lock_guard lock(registry_.mutex);
      auto& making = registry_.making;
      making.erase(std::find(making.begin(), making.end(), directory_));
    }
    registry_.made.notify_all();
  }
  Making(const Making&) = delete;
  Making& operator=(const Making&) = delete;

 private:
  Registry& registry_;
  const std::string directory_;
};

// The same was asked for, or this is what another request resulted in.
bool Serves(const Shared& shared, const Engine& engine, const std::string& directory,
            const BackendOptions& wanted) {
  const BackendInfo& info = engine.backend();
  if (shared.directory != directory) return false;
  if (wanted.kind != shared.asked.kind && wanted.kind != info.kind) return false;
  if (wanted.precision != shared.asked.precision && wanted.precision != info.precision)
    return false;
  // The CPU is one device, and has no contexts.
  return info.kind == BackendKind::kCpu ||
         (wanted.device == shared.asked.device && wanted.cuda_context == shared.asked.cuda_context);
}

std::shared_ptr<Engine> Find(Registry& registry, const std::string& directory,
                             const BackendOptions& wanted) {
  std::shared_ptr<Engine> found;
  std::erase_if(registry.engines, [&](const Shared& shared) {
    std::shared_ptr<Engine> engine = shared.engine.lock();
    if (!engine) return true;
    if (!found && Serves(shared, *engine, directory, wanted)) found = std::move(engine);
    return false;
  });
  return found;
}

Result<std::shared_ptr<Engine>> ShareOrMake(const EngineOptions& options) {
  CLIPTAG_ASSIGN_OR_RETURN(std::string directory, FindModel(options.model));
  std::error_code ignored;
  const auto real = std::filesystem::weakly_canonical(directory, ignored);
  if (!ignored && !real.empty()) directory = real.string();

  Registry& registry = TheRegistry();
  std::optional<Making> making;
  {
    std::unique_lock lock(registry.mutex);
    while (true) {
      if (std::shared_ptr<Engine> engine = Find(registry, directory, options.backend))
        return engine;
      const auto& others = registry.making;
      if (std::find(others.begin(), others.end(), directory) == others.end()) break;
      registry.made.wait(lock);
    }
    making.emplace(registry, directory);
  }
  CLIPTAG_ASSIGN_OR_RETURN(std::shared_ptr<Engine> engine, Engine::Create(options));
  const std::lock_guard lock(registry.mutex);
  registry.engines.push_back({directory, options.backend, engine});
  return engine;
}

}  // namespace

Result<std::shared_ptr<Engine>> Engine::Share(const EngineOptions& options) {
  return Catching([&] { return ShareOrMake(options); });
}

}  // namespace cliptag
