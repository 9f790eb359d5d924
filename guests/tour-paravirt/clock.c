// tour-paravirt: time from a page in memory, and the date (Linux, Documentation/virt/kvm/x86/msr.rst).

#include "clock.h"

enum { MSR_WALL_CLOCK = 0x4b564d00, MSR_SYSTEM_TIME = 0x4b564d01, MSR_STEAL_TIME = 0x4b564d03 };

static volatile struct {
    uint32_t version, reserved;
    uint64_t tsc, nanoseconds;
    uint32_t multiplier;
    int8_t shift;
    uint8_t flags, padding[2];
} time_page __attribute__((aligned(64)));

static volatile struct {
    uint32_t version, seconds, nanoseconds;
} date_page __attribute__((aligned(64)));

static volatile struct {
    uint64_t steal;
    uint32_t version, flags;
    uint32_t padding[12];
} steal_page __attribute__((aligned(64)));

static uint64_t time_stamp(void) {
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

void open_clock(void) { write_msr(MSR_SYSTEM_TIME, (uint64_t)&time_page | 1); }

bool clock_is_open(void) { return time_page.version != 0 && time_page.version % 2 == 0 && time_page.multiplier != 0; }

// An odd version says that the page is being written; another one than before, that it was.
uint64_t clock_nanoseconds(void) {
    for (;;) {
        uint32_t version = time_page.version;
        uint64_t passed = time_stamp() - time_page.tsc;
        passed = time_page.shift >= 0 ? passed << time_page.shift : passed >> -time_page.shift;
        uint64_t result = time_page.nanoseconds + (uint64_t)((unsigned __int128)passed * time_page.multiplier >> 32);
        if (version % 2 == 0 && version == time_page.version) return result;
    }
}

uint64_t date_at_start(void) {
    write_msr(MSR_WALL_CLOCK, (uint64_t)&date_page);
    return date_page.version % 2 == 0 ? date_page.seconds : 0;
}

bool open_steal_time(void) {
    write_msr(MSR_STEAL_TIME, (uint64_t)&steal_page | 1);
    return read_msr(MSR_STEAL_TIME) == ((uint64_t)&steal_page | 1) && steal_page.version % 2 == 0;
}

uint64_t stolen_nanoseconds(void) { return steal_page.steal; }

void wait_for_pit(uint16_t count) {
    out8(0x61, (uint8_t)((in8(0x61) & ~2u) | 1));       // gate on, speaker off
    out8(PORT_PIT + 3, 0xb0);                           // channel 2, mode 0: output rises at the end
    out8(PORT_PIT + 2, (uint8_t)count);
    out8(PORT_PIT + 2, (uint8_t)(count >> 8));
    while (!(in8(0x61) & 0x20)) {}
}

static unsigned cmos(uint8_t number) {
    out8(0x70, number);
    unsigned value = in8(0x71);
    return (value >> 4) * 10 + (value & 15);            // BCD
}

uint64_t cmos_seconds(void) {
    for (;;) {
        do out8(0x70, 0x0a);
        while (in8(0x71) & 0x80);                       // an update is going on
        unsigned second = cmos(0), minute = cmos(2), hour = cmos(4), day = cmos(7), month = cmos(8), year = cmos(9);
        if (second != cmos(0)) continue;
        // Days of the years since 1970, and of the months of this one; no year of this century without leap day ends in 00.
        static const unsigned before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
        uint64_t years = 30 + year;
        uint64_t days = years * 365 + (years + 1) / 4 + before[month - 1] + day - 1;
        if (month > 2 && year % 4 == 0) days++;
        return ((days * 24 + hour) * 60 + minute) * 60 + second;
    }
}
