// The console: COM1, by polling (PC16550D data sheet, 8.4 "Line Status Register").

#include "console.h"

#include <stdarg.h>

#include "cpu.h"

enum { IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5, LSR_THRE = 0x20, LCR_8N1 = 0x03, LCR_DLAB = 0x80 };

void open_console(void) {
    out8(PORT_COM1 + IER, 0);
    out8(PORT_COM1 + LCR, LCR_DLAB | LCR_8N1);
    out8(PORT_COM1 + 0, 1);     // divisor latch: 115200 / 1
    out8(PORT_COM1 + 1, 0);
    out8(PORT_COM1 + LCR, LCR_8N1);
    out8(PORT_COM1 + FCR, 0x07);
    out8(PORT_COM1 + MCR, 0x03);
}

static void put(char character) {
    if (character == '\n') put('\r');
    while (!(in8(PORT_COM1 + LSR) & LSR_THRE)) {}
    out8(PORT_COM1, (uint8_t)character);
}

static void pad(int count, char with) {
    for (; count > 0; count--) put(with);
}

void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        format++;
        bool left = *format == '-';
        if (left) format++;
        char fill = *format == '0' ? '0' : ' ';
        int width = 0;
        for (; *format >= '0' && *format <= '9'; format++) width = width * 10 + (*format - '0');
        bool is_long = *format == 'l';
        if (is_long) format++;

        char digits[20];
        const char *text = digits;
        int length = 0;
        if (*format == 's') {
            text = va_arg(arguments, const char *);
            while (text[length]) length++;
        } else if (*format == 'c') {
            digits[length++] = (char)va_arg(arguments, int);
        } else {
            unsigned long value = is_long ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned int);
            if (*format == 'd' && !is_long && (int)value < 0) {
                put('-');
                value = -(unsigned int)value;
            }
            unsigned base = *format == 'x' ? 16 : 10;
            int at = sizeof digits;
            do {
                digits[--at] = "0123456789abcdef"[value % base];
                value /= base;
            } while (value);
            text = digits + at;
            length = (int)sizeof digits - at;
        }
        if (!left) pad(width - length, fill);
        for (int i = 0; i < length; i++) put(text[i]);
        if (left) pad(width - length, ' ');
    }
    va_end(arguments);
}
