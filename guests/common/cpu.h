// Instructions that C has no words for, and the integer types of a freestanding program.

#ifndef CPU_H
#define CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine.h"

#define INLINE static inline __attribute__((always_inline))

INLINE void out8(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
INLINE void out16(uint16_t port, uint16_t value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
INLINE void out32(uint16_t port, uint32_t value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

INLINE uint8_t in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

INLINE struct cpuid cpuid(uint32_t leaf, uint32_t subleaf) {
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

INLINE uint64_t read_msr(uint32_t msr) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

INLINE void write_msr(uint32_t msr, uint64_t value) {
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define CONTROL_REGISTER(number)                                                                                       \
    INLINE uintptr_t read_cr##number(void) {                                                                           \
        uintptr_t value;                                                                                               \
        __asm__ volatile("mov %%cr" #number ", %0" : "=r"(value) : : "memory");                                        \
        return value;                                                                                                  \
    }                                                                                                                  \
    INLINE void write_cr##number(uintptr_t value) {                                                                    \
        __asm__ volatile("mov %0, %%cr" #number : : "r"(value) : "memory");                                            \
    }

CONTROL_REGISTER(0)
CONTROL_REGISTER(2)
CONTROL_REGISTER(3)
CONTROL_REGISTER(4)

INLINE void invlpg(uintptr_t address) { __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory"); }

// One instruction boundary lies between STI and HLT, and STI's shadow covers it: no interrupt is lost.
INLINE void wait_for_interrupt(void) { __asm__ volatile("sti; hlt; cli" : : : "memory"); }

INLINE uint32_t read_mmio(uintptr_t address) { return *(volatile uint32_t *)address; }
INLINE void write_mmio(uintptr_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

#endif
