// The thread pool: runs every task once, on its threads, and waits for all. Runs under TSan.
#include "kernels/cpu/machine/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace cliptag {
namespace {

TEST(AvailableThreads, IsAtLeastOneAndNoMoreThanTheMachineHas) {
  EXPECT_GE(AvailableThreads(), 1);
  EXPECT_LE(AvailableThreads(), static_cast<int>(std::thread::hardware_concurrency()));
}

TEST(ThreadPool, ZeroMeansWhatTheProcessMayUse) {
  EXPECT_EQ(ThreadPool(0).size(), AvailableThreads());
}

class ThreadPoolSizes : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolSizes, RunsEveryTaskExactlyOnce) {
  ThreadPool pool(GetParam());
  ASSERT_EQ(pool.size(), GetParam());
  for (int tasks : {0, 1, 2, 3, 7, 64, 1000}) {
    std::vector<int> runs(tasks, 0);  // not atomic: TSan sees a task that runs twice
    pool.Run(tasks, [&](int task, int worker) {
      ASSERT_GE(worker, 0);
      ASSERT_LT(worker, pool.size());
      ++runs[task];
    });
    EXPECT_EQ(runs, std::vector<int>(tasks, 1));
  }
}

TEST_P(ThreadPoolSizes, HandsResultsFromRunToRun) {
  ThreadPool pool(GetParam());
  constexpr int kTasks = 16;
  std::vector<int64_t> values(kTasks, 1);
  for (int round = 0; round < 2000; ++round) {
    // Each task reads what its neighbour wrote in the round before: a Run that returned early, or a
    // worker that was late, shows as a wrong sum or as a race.
    std::vector<int64_t> next(kTasks);
    pool.Run(kTasks, [&](int task, int) {
      next[task] = (values[task] + values[(task + 1) % kTasks]) % 1000003;
    });
    values.swap(next);
  }
  std::vector<int64_t> expected(kTasks, 1);
  for (int round = 0; round < 2000; ++round) {
    for (int64_t& v : expected) v = v * 2 % 1000003;  // all stay equal
  }
  EXPECT_EQ(values, expected);
}

TEST_P(ThreadPoolSizes, OneThreadPerWorkerNumber) {
  ThreadPool pool(GetParam());
  std::mutex mutex;
  std::vector<std::set<std::thread::id>> threads(GetParam());
  for (int round = 0; round < 50; ++round) {
    pool.Run(8, [&](int, int worker) {
      std::lock_guard lock(mutex);
      threads[worker].insert(std::this_thread::get_id());
    });
  }
  for (int worker = 0; worker < GetParam(); ++worker) {
    EXPECT_LE(threads[worker].size(), 1u) << "worker " << worker;
    if (threads[worker].contains(std::this_thread::get_id())) {
      EXPECT_EQ(worker, 0);
    }
  }
}

TEST_P(ThreadPoolSizes, WakesAfterSleeping) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // far beyond the spin
    std::atomic<int> sum{0};
    pool.Run(100, [&](int task, int) { sum += task; });
    EXPECT_EQ(sum, 4950);
  }
}

// When the caller's thread or a worker throws, the others end first, and the next run is normal.
TEST_P(ThreadPoolSizes, WhatATaskThrowsIsThrownByRun) {
  ThreadPool pool(GetParam());
  for (int bad : {0, 5, 63}) {
    std::atomic<int> running{0};
    std::string caught;
    try {
      pool.Run(64, [&](int task, int) {
        ++running;
        std::this_thread::yield();
        --running;
        if (task == bad) throw std::runtime_error("task " + std::to_string(task));
      });
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "task " + std::to_string(bad));
    EXPECT_EQ(running, 0);
    std::atomic<int> sum{0};
    EXPECT_NO_THROW(pool.Run(100, [&](int task, int) { sum += task; }));
    EXPECT_EQ(sum, 4950);
  }
}

TEST_P(ThreadPoolSizes, OfManyExceptionsOneIsThrown) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(pool.Run(32, [](int, int) { throw std::bad_alloc(); }), std::bad_alloc);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolSizes, testing::Values(1, 2, 3, 8));

TEST(ThreadPool, AllThreadsTakePart) {
  ThreadPool pool(3);
  std::atomic<int> inside{0};
  // Each task waits for the other two: it ends only if three threads run at once.
  pool.Run(3, [&](int, int) {
    ++inside;
    while (inside < 3) std::this_thread::yield();
  });
  EXPECT_EQ(inside, 3);
}

TEST(ThreadPool, PoolsAreIndependent) {
  std::vector<std::thread> callers;
  std::atomic<int> total{0};
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      ThreadPool pool(2);
      for (int round = 0; round < 200; ++round) {
        pool.Run(5, [&](int, int) { ++total; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total, 3 * 200 * 5);
}

TEST(ThreadPool, StartsAndStopsIdle) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(4);
    EXPECT_EQ(pool.size(), 4);
  }
}

}  // namespace
}  // namespace cliptag
