#include "engine.h"
extern const Kernels kernels_amx = {"amx", 0, 0, 0};
bool amx_granted() { return false; }
