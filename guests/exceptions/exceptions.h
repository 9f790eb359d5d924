// The groups of exceptions, one file each.

#ifndef EXCEPTIONS_H
#define EXCEPTIONS_H

void check_instructions(void);
void check_debug(void);
void check_segments(void);
void check_pages(void);
void check_ring3(void);

#endif
