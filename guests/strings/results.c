// strings: what the instructions do when nothing goes wrong.

#include "strings.h"

static uint8_t from[64] __attribute__((aligned(64))), to[64] __attribute__((aligned(64)));

#define FROM ((uint64_t)from)
#define TO ((uint64_t)to)

static void fill(void) {
    for (unsigned i = 0; i < sizeof from; i++) {
        from[i] = (uint8_t)(i * 7 + 1);
        to[i] = 0xee;
    }
}

// Whether to[at...] are `count` bytes from from[source...] and nothing around them has changed.
static bool is_copied(unsigned at, unsigned source, unsigned count) {
    for (unsigned i = 0; i < sizeof to; i++) {
        bool inside = i >= at && i < at + count;
        if (to[i] != (inside ? from[source + i - at] : 0xee)) return false;
    }
    return true;
}

#define COPY(text, name, count, step, df)                                                                              \
    do {                                                                                                               \
        fill();                                                                                                        \
        unsigned start = (df) ? ((count) - 1) * (step) : 0;                                                            \
        struct registers r = {.cx = count, .si = FROM + 3 + start, .di = TO + 5 + start, .flags = (df) ? 0x402 : 2};   \
        RUN(text, r);                                                                                                  \
        int64_t moved = (int64_t)(count) * (step) * ((df) ? -1 : 1);                                                   \
        check_registers(name, &r, 0, FROM + 3 + start + moved, TO + 5 + start + moved);                                \
        check("  its bytes", is_copied(5, 3, (count) * (step)));                                                       \
    } while (0)

static void check_copies(void) {
    COPY("rep movsb", "REP MOVSB", 13, 1, false);
    COPY("rep movsw", "REP MOVSW", 5, 2, false);
    COPY("rep movsl", "REP MOVSD", 4, 4, false);
    COPY("rep movsq", "REP MOVSQ", 3, 8, false);
    COPY("rep movsb", "REP MOVSB, DF = 1", 13, 1, true);
    COPY("rep movsw", "REP MOVSW, DF = 1", 5, 2, true);
    COPY("rep movsq", "REP MOVSQ, DF = 1", 3, 8, true);
    COPY(".byte 0xf2; movsb", "REPNE MOVSB repeats like REP", 7, 1, false);

    fill();
    struct registers r = {.cx = 9, .si = FROM, .di = TO, .flags = 2};
    RUN("movsq", r);
    check_registers("MOVSQ alone leaves RCX", &r, 9, FROM + 8, TO + 8);
    r = (struct registers){.si = 0x800000000000, .di = 0x800000000000, .flags = 2};
    RUN("rep movsb", r);
    check_registers("REP MOVSB, RCX = 0: no access", &r, 0, 0x800000000000, 0x800000000000);
    r = (struct registers){.cx = 0x100000002, .si = FROM, .di = TO, .flags = 2};
    RUN("addr32 rep movsb", r);
    check_registers("REP MOVSB, 32-bit addresses: ECX counts", &r, 0, FROM + 2, TO + 2);

    // Source and destination overlap by all but one element: the first spreads.
    fill();
    r = (struct registers){.cx = 20, .si = TO, .di = TO + 1, .flags = 2};
    to[0] = 0x5a;
    RUN("rep movsb", r);
    bool spread = true;
    for (unsigned i = 0; i <= 20; i++) spread &= to[i] == 0x5a;
    check("REP MOVSB onto itself + 1 spreads the first byte", spread && to[21] == 0xee);
    fill();
    for (unsigned i = 0; i < 16; i++) to[i] = (uint8_t)i;
    r = (struct registers){.cx = 4, .si = TO, .di = TO + 2, .flags = 2};
    RUN("rep movsl", r);
    // Each doubleword begins with the two bytes that the one before it wrote last.
    check_value("REP MOVSD onto itself + 2", *(uint64_t *)(to + 8), 0x0b0a0b0a07060706);
    for (unsigned i = 0; i < 16; i++) to[i] = (uint8_t)i;
    r = (struct registers){.cx = 15, .si = TO + 14, .di = TO + 15, .flags = 0x402};
    RUN("rep movsb", r);
    check_value("REP MOVSB onto itself + 1, DF = 1, keeps all", *(uint64_t *)(to + 8), 0x0e0d0c0b0a090807);

    fill();
    write_msr(0xc0000100, FROM);        // FS.base
    r = (struct registers){.cx = 4, .si = 8, .di = TO, .flags = 2};
    RUN("rep movsb %%fs:(%%rsi), %%es:(%%rdi)", r);
    check("REP MOVS from FS", is_copied(0, 8, 4) && r.si == 12);
}

static void check_stores_and_loads(void) {
    fill();
    struct registers r = {.ax = 0x1122334455667788, .cx = 3, .di = TO, .flags = 2};
    RUN("rep stosw", r);
    check_registers("REP STOSW", &r, 0, 0, TO + 6);
    check_value("  its bytes", *(uint64_t *)to, 0xeeee778877887788);
    r.cx = 2, r.di = TO + 24, r.flags = 0x402;
    RUN("rep stosq", r);
    check_registers("REP STOSQ, DF = 1", &r, 0, 0, TO + 8);
    check_value("  its bytes", *(uint64_t *)(to + 16), 0x1122334455667788);

    r = (struct registers){.ax = -1ull, .cx = 5, .si = FROM, .flags = 2};
    RUN("rep lodsb", r);
    check_registers("REP LODSB", &r, 0, FROM + 5, 0);
    check_value("  leaves the last byte in AL", r.ax, 0xffffffffffffff00 | from[4]);
    r = (struct registers){.ax = -1ull, .si = FROM, .flags = 2};
    RUN("lodsl", r);
    check_value("LODSD clears the upper half of RAX", r.ax, *(uint32_t *)from);
}

static void check_comparisons(void) {
    fill();
    for (unsigned i = 0; i < sizeof to; i++) to[i] = from[i];
    to[9] = 0xff;
    struct registers r = {.cx = 30, .si = FROM, .di = TO, .flags = 2};
    RUN("repe cmpsb", r);
    check_registers("REPE CMPSB stops behind the difference", &r, 20, FROM + 10, TO + 10);
    // 40h - FFh = 41h: CF, AF, PF
    check_value("  its flags", r.flags & FLAGS_STATUS, 0x15);
    r = (struct registers){.cx = 9, .si = FROM, .di = TO, .flags = 2};
    RUN("repe cmpsb", r);
    check_registers("REPE CMPSB to the end", &r, 0, FROM + 9, TO + 9);
    check_value("  its flags", r.flags & FLAGS_STATUS, 0x44);
    r = (struct registers){.cx = 0, .si = FROM, .di = TO, .flags = 0x8d7};
    RUN("repe cmpsb", r);
    check_value("REPE CMPSB, RCX = 0, leaves the flags", r.flags & FLAGS_STATUS, FLAGS_STATUS);
    r = (struct registers){.cx = 8, .si = FROM + 32, .di = TO + 32, .flags = 0x402};
    to[24] = 0;
    RUN("repe cmpsl", r);
    check_registers("REPE CMPSD, DF = 1", &r, 5, FROM + 20, TO + 20);
    r = (struct registers){.cx = 8, .si = FROM + 8, .di = TO, .flags = 2};
    RUN("repne cmpsw", r);
    check_registers("REPNE CMPSW to the end", &r, 0, FROM + 24, TO + 16);

    r = (struct registers){.ax = from[17], .cx = 64, .di = FROM, .flags = 2};
    RUN("repne scasb", r);
    check_registers("REPNE SCASB finds", &r, 46, 0, FROM + 18);
    check_value("  its flags", r.flags & FLAGS_STATUS, 0x44);
    r = (struct registers){.ax = 0x00, .cx = 16, .di = FROM, .flags = 2};
    RUN("repne scasb", r);
    check_registers("REPNE SCASB finds nothing", &r, 0, 0, FROM + 16);
    r = (struct registers){.ax = *(uint64_t *)from, .cx = 4, .di = FROM, .flags = 2};
    RUN("repe scasq", r);
    check_registers("REPE SCASQ", &r, 2, 0, FROM + 16);
}

// The scratch register of COM1 keeps what was written last.
static void check_ports(void) {
    enum { SCRATCH = PORT_COM1 + 7 };
    fill();
    struct registers r = {.cx = 6, .si = FROM, .flags = 2};
    __asm__ volatile("rep outsb" : "+c"(r.cx), "+S"(r.si) : "d"(SCRATCH) : "memory");
    check_registers("REP OUTSB", &r, 0, FROM + 6, 0);
    check_value("  the last byte arrived", in8(SCRATCH), from[5]);
    r = (struct registers){.cx = 3, .di = TO};
    __asm__ volatile("rep insb" : "+c"(r.cx), "+D"(r.di) : "d"(SCRATCH) : "memory");
    check_registers("REP INSB", &r, 0, 0, TO + 3);
    check_value("  its bytes", *(uint32_t *)to, 0xee000000 | from[5] * 0x10101u);
}

void check_results(void) {
    check_copies();
    check_stores_and_loads();
    check_comparisons();
    check_ports();
}
