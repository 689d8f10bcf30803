// See cuda.h.
#pragma once

enum CUGLDeviceList : int {};
