#include "plugin/cli/bench/streams.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "plugin/cli/bench/hostile.h"
#include "plugin/cli/bench/stream.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/media/mapped_frame.h"

namespace cliptag {
namespace {

constexpr int kPictures = 4;  // shared by all streams
constexpr double kFirstLooksS = 120;
constexpr double kDrainS = 10;

struct ClockUnref {
  void operator()(GstClock* clock) const { gst_object_unref(clock); }
};

void Sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// All streams of one run, and what they push.
class Run {
 public:
  Run(const StreamsOptions& options, Rate fps, Rate looks, const RawPictures& pictures,
      bool identity)
      : options_(options),
        fps_(fps),
        looks_(looks),
        pictures_(pictures),
        identity_(identity),
        clock_(gst_system_clock_obtain()),
        base_time_ns_(gst_clock_get_time(clock_.get())) {}

  // All are let go before the first is stopped, whoever may be waiting for whom.
  ~Run() {
    for (const auto& stream : streams_) stream->Release();
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Result<StreamsRun> Measure() {
    Progress progress;
    const char* what = identity_ ? "identity" : "cliptag";
    progress.Show(std::string("starting streams through ") + what);
    CLIPTAG_RETURN_IF_ERROR(Start());
    std::optional<Disturbances> disturbances;
    if (options_.hostile) disturbances.emplace(streams_);
    CLIPTAG_RETURN_IF_ERROR(WarmUp());
    progress.Show("measuring " + std::to_string(options_.streams) + " streams through " + what);
    StreamsRun run;
    const guint64 begin = Now() + 50 * GST_MSECOND;
    const guint64 end = begin + static_cast<guint64>(options_.seconds * 1e9);
    window_.Set(begin, end);
    CLIPTAG_RETURN_IF_ERROR(WaitUntil(begin));
    const double cpu_before = CpuSeconds();
    CLIPTAG_RETURN_IF_ERROR(WaitUntil(end));
    run.cpu_seconds = CpuSeconds() - cpu_before;
    run.rss_mb = ResidentMb();
    run.anonymous_mb = AnonymousMb();
    ReadBackend(&run);
    CLIPTAG_RETURN_IF_ERROR(Drain());
    if (disturbances) {
      run.seeks = disturbances->seeks();
      run.prompt_changes = disturbances->prompt_changes();
      disturbances.reset();
    }
    Collect(&run);
    return run;
  }

 private:
  Status Start() {
    for (int i = 0; i < options_.streams; ++i) {
      feeds_.push_back(std::make_unique<BenchFeed>());
      BenchStreamOptions stream;
      const int last = i - (options_.streams - static_cast<int>(std::size(kHostilities)));
      if (options_.hostile && last >= 0) stream.hostility = kHostilities[last];
      FillFeed(i, stream.hostility, feeds_.back().get());
      stream.model = options_.model;
      stream.mode = options_.mode;
      stream.max_rate = std::to_string(looks_.n) + "/" + std::to_string(looks_.d);
      stream.max_batch = options_.shape.batch;
      stream.identity = identity_;
      stream.prompts = kBenchPrompts;
      CLIPTAG_ASSIGN_OR_RETURN(auto made, BenchStream::Make(stream, feeds_.back().get()));
      streams_.push_back(std::move(made));
    }
    for (const auto& stream : streams_) {
      CLIPTAG_RETURN_IF_ERROR(stream->Start(clock_.get(), base_time_ns_));
    }
    return {};
  }

  // Cameras do not tick together, and were not switched on together: the streams' frames are spread
  // over the time between two frames, their first looks over that between two looks.
  void FillFeed(int i, Hostility hostility, BenchFeed* feed) const {
    feed->pictures = &pictures_;
    feed->window = &window_;
    feed->first_picture = static_cast<size_t>(i);
    feed->fps_n = fps_.n;
    feed->fps_d = fps_.d;
    feed->live = options_.mode != "exact";
    feed->broken = hostility == Hostility::kBrokenFrames;
    feed->never_counts = hostility != Hostility::kNone;
    if (options_.aligned || !feed->live) return;
    const double share = static_cast<double>(i) / options_.streams;
    const double frame_s = static_cast<double>(fps_.d) / fps_.n;
    feed->phase_ns = static_cast<guint64>(share * frame_s * 1e9);
    const guint64 started = static_cast<guint64>(static_cast<double>(Now()) / 1e9 / frame_s);
    feed->first_frame = started + static_cast<guint64>(share * LookPeriodS() / frame_s);
  }

  double LookPeriodS() const { return looks_.n > 0 ? static_cast<double>(looks_.d) / looks_.n : 0; }

  bool counts(const BenchStream& stream) const { return stream.hostility() == Hostility::kNone; }

  guint64 Now() const { return gst_clock_get_time(clock_.get()) - base_time_ns_; }

  Status FirstError() const {
    for (const auto& stream : streams_) {
      if (counts(*stream)) CLIPTAG_RETURN_IF_ERROR(stream->error());
    }
    return {};
  }

  template <typename F>
  bool All(F&& condition) const {
    return std::all_of(streams_.begin(), streams_.end(),
                       [&](const auto& stream) { return !counts(*stream) || condition(*stream); });
  }

  // Until every stream has been looked at, and a little more.
  Status WarmUp() const {
    const double limit_s = kFirstLooksS + LookPeriodS(), begin_ms = NowMs();
    const auto begun = [this](const BenchStream& stream) {
      return identity_ ? stream.arrived() > 0 : stream.looks() > 0;
    };
    while (!All(begun)) {
      CLIPTAG_RETURN_IF_ERROR(FirstError());
      if (NowMs() - begin_ms > 1000 * limit_s) {
        return Internal(std::string("some of the streams had no ") +
                        (identity_ ? "frames" : "tags") + " within " +
                        std::to_string(static_cast<int>(limit_s)) + " s; with fewer streams or a " +
                        "smaller model they would");
      }
      Sleep(0.01);
    }
    Sleep(std::clamp(options_.seconds / 10, 0.2, 1.0));
    return FirstError();
  }

  Status WaitUntil(guint64 running_ns) const {
    for (guint64 now = Now(); now < running_ns; now = Now()) {
      CLIPTAG_RETURN_IF_ERROR(FirstError());
      Sleep(std::min(static_cast<double>(running_ns - now) / 1e9, 0.1));
    }
    return FirstError();
  }

  // The streams end with the window; what is on its way then arrives. What has not after this long
  // is lost.
  Status Drain() const {
    const double begin_ms = NowMs();
    while (!All([](const BenchStream& stream) { return stream.ended(); }) &&
           NowMs() - begin_ms < 1000 * kDrainS) {
      CLIPTAG_RETURN_IF_ERROR(FirstError());
      Sleep(0.01);
    }
    return FirstError();
  }

  void ReadBackend(StreamsRun* run) const {
    if (identity_) return;
    GstStructure* stats = nullptr;
    g_object_get(streams_.front()->tagger(), "stats", &stats, nullptr);
    if (stats == nullptr) return;
    const auto text = [stats](const char* field) {
      const gchar* value = gst_structure_get_string(stats, field);
      return std::string(value != nullptr ? value : "");
    };
    run->backend = text("backend");
    run->precision = text("precision");
    gst_structure_free(stats);
  }

  void Collect(StreamsRun* run) const {
    for (const auto& stream : streams_) {
      if (stream->hostility() == Hostility::kBrokenFrames) {
        run->broken_frames = stream->feed().pushed;
      }
      if (!counts(*stream)) continue;
      const BenchStreamCounts counts = stream->Counts();
      StreamResult& result = run->streams.emplace_back();
      result.frames = counts.frames;
      result.late = counts.late;
      result.lost = stream->feed().counted - counts.frames;
      result.tags_per_second = static_cast<double>(counts.looks) / options_.seconds;
      result.age = counts.age;
    }
  }

  const StreamsOptions& options_;
  const Rate fps_, looks_;
  const RawPictures& pictures_;
  const bool identity_;
  const std::unique_ptr<GstClock, ClockUnref> clock_;
  const guint64 base_time_ns_;
  BenchWindow window_;
  std::vector<std::unique_ptr<BenchFeed>> feeds_;
  std::vector<std::unique_ptr<BenchStream>> streams_;  // after what they borrow
};

Status Check(const StreamsOptions& options) {
  constexpr int kHostile = static_cast<int>(std::size(kHostilities));
  if (options.hostile && options.streams <= kHostile) {
    return InvalidArgument("--hostile makes " + std::to_string(kHostile) +
                           " of the streams hostile: ask for " + std::to_string(kHostile + 1) +
                           " --streams or more");
  }
  if (options.hostile && options.mode != "live") {
    return InvalidArgument("--hostile streams are live ones: leave out --mode " + options.mode);
  }
  return {};
}

}  // namespace

Result<Rate> ParseRate(const std::string& text, const std::string& option) {
  GValue value = G_VALUE_INIT;
  g_value_init(&value, GST_TYPE_FRACTION);
  Rate rate;
  char* end = nullptr;
  const double number = g_ascii_strtod(text.c_str(), &end);
  if (!text.empty() && *end == '\0' && number >= 0 && number <= 1e6) {
    gst_util_double_to_fraction(number, &rate.n, &rate.d);
  } else if (gst_value_deserialize(&value, text.c_str())) {
    rate = {gst_value_get_fraction_numerator(&value), gst_value_get_fraction_denominator(&value)};
  } else {
    rate.d = 0;
  }
  g_value_unset(&value);
  if (rate.n < 0 || rate.d <= 0) {
    return InvalidArgument(option + ": '" + text + "' is no rate; write 25, 30000/1001 or 12.5");
  }
  return rate;
}

double JainIndex(const std::vector<double>& shares) {
  double sum = 0, squares = 0;
  for (const double share : shares) {
    sum += share;
    squares += share * share;
  }
  return squares > 0 ? sum * sum / (static_cast<double>(shares.size()) * squares) : 0;
}

Result<StreamsResult> BenchStreams(const StreamsOptions& options) {
  CLIPTAG_RETURN_IF_ERROR(Check(options));
  CLIPTAG_RETURN_IF_ERROR(InitGStreamer());
  CLIPTAG_ASSIGN_OR_RETURN(const Rate fps, ParseRate(options.fps, "--fps"));
  if (fps.n == 0) return InvalidArgument("--fps must be more than 0");
  const std::string looks_text =
      !options.max_rate.empty() ? options.max_rate : (options.mode == "exact" ? "0" : "1");
  CLIPTAG_ASSIGN_OR_RETURN(const Rate looks, ParseRate(looks_text, "--max-rate"));
  const BenchShape& shape = options.shape;
  CLIPTAG_ASSIGN_OR_RETURN(const RawPictures pictures,
                           MakeRawPictures(shape.format, shape.width, shape.height, kPictures));
  CLIPTAG_RETURN_IF_ERROR(FindCliptagElement());
  // The texts of the stream whose prompts change are of no use to anyone later.
  if (options.hostile) g_setenv("CLIPTAG_TEXT_CACHE", "", TRUE);
  StreamsResult result;
  // Without a clock nothing is late.
  result.has_identity = options.mode != "exact";
  if (result.has_identity) {
    Run run(options, fps, looks, pictures, /*identity=*/true);
    CLIPTAG_ASSIGN_OR_RETURN(result.identity, run.Measure());
  }
  Run run(options, fps, looks, pictures, /*identity=*/false);
  CLIPTAG_ASSIGN_OR_RETURN(result.tagged, run.Measure());
  return result;
}

}  // namespace cliptag
