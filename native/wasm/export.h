// Names under which JavaScript finds functions of the module.
#pragma once

#define BNN_EXPORT(name) extern "C" __attribute__((export_name(name), used))
