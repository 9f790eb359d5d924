// The console: COM1, by polling.

#ifndef CONSOLE_H
#define CONSOLE_H

// Sets COM1 to 115200 baud, 8 data bits, no parity, one stop bit, FIFOs on, interrupts off.
void open_console(void);

// Prints a format: %s string, %c character, %u unsigned and %d signed decimal of 32 bits, %x hexadecimal, %lx and %llx
// for longer ones; a width pads with blanks, or with zeros after a 0, and a minus pads on the right. LF goes out as CR LF.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
