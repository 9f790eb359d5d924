// The groups of attacks, and the numbers that they draw.

#ifndef HOSTILE_H
#define HOSTILE_H

#include "checks.h"
#include "pages.h"
#include "probe.h"

// The next number of a fixed sequence (a linear congruential generator modulo 2^64): every run does the same.
uint32_t draw(void);

void attack_ports(void);
void attack_memory(void);
void attack_tables(void);
void attack_registers(void);
void attack_decoder(void);

#endif
