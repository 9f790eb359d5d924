// Selectors of this guest's GDT, for assembly and C.

#ifndef SELECTORS_H
#define SELECTORS_H

#define CODE 0x08               // flat, 32-bit, DPL 0
#define DATA 0x10
#define USER_CODE 0x1b          // flat, 32-bit, DPL 3, with RPL 3
#define USER_DATA 0x23
#define MAIN_TSS 0x28
#define TASK_TSS 0x30
#define TEST 0x38               // what a check is about
#define TEST2 0x40
#define GATE 0x48
#define FREE 0x50

#endif
