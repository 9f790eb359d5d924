// What Swift cannot say: the layout of hot state, atomic access to guest RAM, the host's own ALU with its flags.
#ifndef TRAPEZE_CPRIMITIVES_H
#define TRAPEZE_CPRIMITIVES_H
#include "alu.h"
#include "cpu_state.h"
#include "cpuid.h"
#include "guest_memory.h"
#include "native_stub.h"
#include "translated_code.h"
#endif
