// What the parts of the guest share.

#ifndef SHARED_H
#define SHARED_H

#include "checks.h"
#include "pages.h"
#include "processors.h"
#include "traps.h"

enum { ALL = MAX_PROCESSORS };

#define AREA 0x4000000000       // pages of the checks' own
#define PAGE(n) (AREA + (n) * 0x1000ul)

extern uint8_t frames[8][4096];

// Called for page faults; false if it was none of its own.
extern bool (*volatile on_page_fault)(struct trap *trap);

// Makes every CPU drop its translation of `address`, and returns when all have.
void shoot_down(uintptr_t address);

void check_locked(void);
void check_split(void);
void check_order(void);
void check_shootdown(void);
void check_flags(void);

#endif
