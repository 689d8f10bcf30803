#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/cpu/machine/thread_pool.h"

namespace cliptag {
namespace {

int AllowedCores() {
  // On machines with more than 1024 CPUs the default mask is too small for the kernel's.
  for (int cpus = CPU_SETSIZE; cpus <= (1 << 16); cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (!set) break;
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    CPU_ZERO_S(bytes, set);
    const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

// A quota of `quota` microseconds in every `period`, in cores; 0 = no limit.
double Quota(const std::string& quota, const std::string& period) {
  std::istringstream quota_stream(quota), period_stream(period);
  double q = 0, p = 0;
  if (!(quota_stream >> q) || !(period_stream >> p) || q <= 0 || p <= 0) return 0;  // "max", -1
  return q / p;
}

std::string FirstWord(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

// The lowest quota of a group and its ancestors under `mount`; 0 = no limit.
double GroupQuota(const std::string& mount, std::string group, bool v2) {
  double tightest = 0;
  for (;;) {
    const std::string directory = mount + (group == "/" ? "" : group);
    double cores = 0;
    if (v2) {
      std::ifstream file(directory + "/cpu.max");
      std::string quota, period;
      if (file >> quota >> period) cores = Quota(quota, period);
    } else {
      cores = Quota(FirstWord(directory + "/cpu.cfs_quota_us"),
                    FirstWord(directory + "/cpu.cfs_period_us"));
    }
    if (cores > 0 && (tightest == 0 || cores < tightest)) tightest = cores;
    if (group.empty() || group == "/") return tightest;
    group.resize(group.rfind('/'));
  }
}

double ControlGroupQuota() {
  double tightest = 0;
  std::ifstream groups("/proc/self/cgroup");  // lines "id:controllers:/path"
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (group.empty() || group[0] != '/') continue;
    double cores = 0;
    if (controllers.empty()) {
      cores = GroupQuota("/sys/fs/cgroup", group, true);
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      cores = GroupQuota("/sys/fs/cgroup/" + controllers, group, false);
      if (cores == 0) cores = GroupQuota("/sys/fs/cgroup/cpu", group, false);
    }
    if (cores > 0 && (tightest == 0 || cores < tightest)) tightest = cores;
  }
  return tightest;
}

}  // namespace

int AvailableThreads() {
  const int cores = AllowedCores();
  const double quota = ControlGroupQuota();
  if (quota <= 0) return cores;
  // Rounded up: two threads use a quota of 1.5 cores better than one.
  return std::clamp(static_cast<int>(std::ceil(quota - 1e-6)), 1, cores);
}

}  // namespace cliptag
