#include "tests/cuda/backend/test_device.h"
#include "tests/cuda/standin/control.h"

namespace cliptag::cuda::test_device {

void Begin() { standin::Reset(); }

std::string Problems() {
  std::string all;
  if (const size_t live = standin::GetLiveObjects().Total(); live != 0) {
    all += std::to_string(live) + " objects were not freed\n";
  }
  for (const std::string& problem : standin::TakeProblems()) all += problem + "\n";
  return all + standin::LastKernelError();
}

std::string Description() {
  const standin::Settings settings;
  return settings.name + ", compute capability " + std::to_string(settings.major) + "." +
         std::to_string(settings.minor);
}

std::optional<Graphs> GraphsSoFar() {
  const standin::Counters counters = standin::GetCounters();
  return Graphs{counters.graphs_captured, counters.graphs_launched};
}

bool IsFast() { return false; }

}  // namespace cliptag::cuda::test_device
