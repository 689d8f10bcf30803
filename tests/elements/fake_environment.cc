// GStreamer with the elements of this program, on the fake engine.
#include "plugin/elements/register.h"
#include "tests/elements/gst_test.h"

static const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(
    new cliptag::test::GstEnvironment([] { return cliptag::RegisterAll(nullptr); }));
