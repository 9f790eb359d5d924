// assists: instructions that hypervisors' emulators leave out. Where the CPU executes ring 0 itself they are nothing
// special, apart from those on devices; where a kernel emulates it, they come out as emulation failures.

#include "checks.h"
#include "console.h"
#include "pages.h"
#include "traps.h"

#define ECHO_MEMORY 0xff000000  // the test device's: what was written last can be read
#define ABSENT 0x5000000000     // mapped when it is touched

typedef struct {
    _Alignas(64) uint64_t q[8];
} block;

static block a, b, c;
static _Alignas(64) uint8_t area[4096];
static unsigned traps, pages;
static uint64_t fault_address;

void handle_trap(struct trap *trap) {
    if (trap->vector == VECTOR_PF && read_cr2() >> 12 == ABSENT >> 12) {
        static _Alignas(4096) uint8_t frame[4096];
        pages++;
        fault_address = read_cr2();
        map_page(ABSENT, (uintptr_t)frame, PTE_P | PTE_W);
    } else if (trap->vector == VECTOR_BP || trap->vector == 0x80) {
        traps++;
    } else {
        unexpected_trap(trap);
    }
}

static bool same(const block *x, const block *y, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (x->q[i] != y->q[i]) return false;
    return true;
}

static void check_exchange(void) {
    if (!(cpuid(1, 0).ecx >> 13 & 1)) {
        not_offered("LOCK CMPXCHG16B, equal");
        not_offered("CMPXCHG16B, different");
        return;
    }
    uint64_t low = a.q[0], high = a.q[1];
    bool done;
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(done), "+m"(a), "+a"(low), "+d"(high)
                     : "b"(3ull), "c"(4ull)
                     : "memory");
    check("LOCK CMPXCHG16B, equal", done && a.q[0] == 3 && a.q[1] == 4);
    low = 7;
    __asm__ volatile("cmpxchg16b %1" : "=@ccz"(done), "+m"(a), "+a"(low), "+d"(high) : "b"(5ull), "c"(6ull) : "memory");
    check("CMPXCHG16B, different", !done && a.q[0] == 3 && low == 3 && high == 4);
}

static void check_integer(void) {
    check_exchange();
    if (cpuid(1, 0).ecx >> 23 & 1) {
        uint64_t count, many = 0xf0f0f0f0f0f0f0f1;
        unsigned right = 0;
        for (unsigned i = 0; i < 1000; i++) {
            __asm__ volatile("popcnt %1, %0" : "=r"(count) : "r"(many >> (i & 31)) : "cc");
            right += count == (unsigned)__builtin_popcountll(many >> (i & 31));
        }
        check_value("POPCNT, a thousand times", right, 1000);
    } else {
        not_offered("POPCNT, a thousand times");
    }
    if (cpuid(1, 0).ecx >> 20 & 1) {
        uint64_t crc = 0xffffffff;
        __asm__ volatile("crc32q %1, %0" : "+r"(crc) : "r"(0x1122334455667788ull));
        check_value("CRC32", crc, 0x50a6aee9);
    } else {
        not_offered("CRC32");
    }
    __asm__ volatile("int3");
    __asm__ volatile("int $0x80");
    check_value("INT3 and INT 80H", traps, 2);
}

static void check_vectors(void) {
    for (unsigned i = 0; i < 8; i++) {
        a.q[i] = 0x0102030405060708 * (i + 1);
        b.q[i] = 0x1000000010000000 + i;
    }
    __asm__ volatile("movdqa %1, %%xmm1; paddq %2, %%xmm1; movdqa %%xmm1, %0" : "=m"(c) : "m"(a), "m"(b));
    check("PADDQ", c.q[0] == a.q[0] + b.q[0] && c.q[1] == a.q[1] + b.q[1]);
    __asm__ volatile("mov $7, %%eax; cvtsi2sd %%eax, %%xmm2; sqrtsd %%xmm2, %%xmm2; mulsd %%xmm2, %%xmm2;"
                     "cvtsd2si %%xmm2, %%rax; mov %%rax, %0"
                     : "=m"(c.q[0])
                     :
                     : "rax");
    check_value("SQRTSD and MULSD", c.q[0], 7);
    __asm__ volatile("pxor %%xmm15, %%xmm15; movdqa %1, %%xmm15; movdqa %%xmm15, %0" : "=m"(c) : "m"(a));
    check("a register is kept between two of them", same(&c, &a, 2));
}

static void check_devices(void) {
    volatile uint32_t *echo = (void *)ECHO_MEMORY;
    __asm__ volatile("movdqa %1, %%xmm3; movups %%xmm3, (%0)" : : "r"(echo), "m"(a) : "memory");
    check("MOVUPS to a device", echo[0] == (uint32_t)a.q[0] && echo[1] == a.q[0] >> 32 && echo[2] == (uint32_t)a.q[1]
        && echo[3] == a.q[1] >> 32);
    echo[0] = 0x11111111;
    echo[1] = 0x22222222;
    echo[2] = 0x33333333;
    echo[3] = 0x44444444;
    __asm__ volatile("movups (%1), %%xmm4; movdqa %%xmm4, %0" : "=m"(c) : "r"(echo) : "memory");
    check("MOVUPS from a device", c.q[0] == 0x2222222211111111 && c.q[1] == 0x4444444433333333);
    __asm__ volatile("movups (%1), %%xmm4; pxor %%xmm5, %%xmm5; movdqa %%xmm5, %0; paddd (%1), %%xmm5; movdqa %%xmm5, %0"
                     : "=m"(c)
                     : "r"(echo)
                     : "memory");
    check("PADDD with a device", c.q[0] == 0x2222222211111111 && c.q[1] == 0x4444444433333333);
}

static void check_faults(void) {
    pages = 0;
    __asm__ volatile("movdqa %1, %%xmm6; movups %%xmm6, (%0)" : : "r"(ABSENT + 0x123ull), "m"(a) : "memory");
    __asm__ volatile("movups (%1), %%xmm7; movdqa %%xmm7, %0" : "=m"(c) : "r"(ABSENT + 0x123ull));
    check("#PF: MOVUPS to a page that is mapped then", pages == 1 && same(&c, &a, 2));
    check_value("  CR2", fault_address, ABSENT + 0x123);
}

static void check_saving(void) {
    __asm__ volatile("movdqa %0, %%xmm8; fxsave64 %1; pxor %%xmm8, %%xmm8; fxrstor64 %1; movdqa %%xmm8, %2"
                     : "+m"(a), "+m"(area), "=m"(c));
    check("FXSAVE and FXRSTOR", same(&c, &a, 2));
    if (!(cpuid(1, 0).ecx >> 26 & 1)) {
        not_offered("XSAVE and XRSTOR");
        not_offered("VANDPD of 256 bits");
        not_offered("  it is in the XSAVE area");
        not_offered("VMOVUPS to a device");
        return;
    }
    write_cr4(read_cr4() | 1 << 18);
    bool avx = cpuid(1, 0).ecx >> 28 & 1;
    __asm__ volatile("xsetbv" : : "c"(0), "a"(avx ? 7 : 3), "d"(0));
    for (unsigned i = 0; i < sizeof area; i++) area[i] = 0;
    __asm__ volatile("movdqa %0, %%xmm9; xsave64 %1; pxor %%xmm9, %%xmm9; xrstor64 %1; movdqa %%xmm9, %2"
                     : "+m"(a), "+m"(area), "=m"(c)
                     : "a"(7), "d"(0));
    check("XSAVE and XRSTOR", same(&c, &a, 2));
    if (!avx) {
        not_offered("VANDPD of 256 bits");
        not_offered("  it is in the XSAVE area");
        not_offered("VMOVUPS to a device");
        return;
    }
    __asm__ volatile("vmovdqa %1, %%ymm10; vaddpd %2, %%ymm10, %%ymm11; vandpd %1, %%ymm10, %%ymm10; vmovupd %%ymm10, %0"
                     : "=m"(c)
                     : "m"(a), "m"(b));
    check("VANDPD of 256 bits", same(&c, &a, 4));
    __asm__ volatile("xsave64 %0" : "+m"(area) : "a"(7), "d"(0));
    check("  it is in the XSAVE area", *(uint64_t *)(area + 576 + 160) == a.q[2]);
    volatile uint32_t *echo = (void *)ECHO_MEMORY;
    __asm__ volatile("vmovups %%ymm10, (%0)" : : "r"(echo) : "memory");
    check("VMOVUPS to a device", echo[0] == (uint32_t)a.q[0] && echo[7] == a.q[3] >> 32);
}

int main(void) {
    open_console();
    install_traps();
    check_integer();
    check_vectors();
    check_devices();
    check_faults();
    check_saving();
    return report_checks();
}
