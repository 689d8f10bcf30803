// GStreamer for the tests that need no element.
#include "tests/elements/gst_test.h"

static const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new cliptag::test::GstEnvironment());
