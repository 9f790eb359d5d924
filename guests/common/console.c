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
        int longs = 0;
        for (; *format == 'l'; format++) longs++;

        char digits[20];
        const char *text = digits;
        int length = 0;
        if (*format == 's') {
            text = va_arg(arguments, const char *);
            while (text[length]) length++;
        } else if (*format == 'c') {
            digits[length++] = (char)va_arg(arguments, int);
        } else {
            uint64_t value = longs == 2   ? va_arg(arguments, unsigned long long)
                             : longs == 1 ? va_arg(arguments, unsigned long)
                                          : va_arg(arguments, unsigned int);
            int at = sizeof digits;
            if (*format == 'x') {
                for (; value || at == sizeof digits; value >>= 4) digits[--at] = "0123456789abcdef"[value & 15];
            } else {
                // A 32-bit guest has no 64-bit division at hand.
                uint32_t decimal = (uint32_t)value;
                if (*format == 'd' && (int32_t)decimal < 0) {
                    put('-');
                    decimal = -decimal;
                }
                for (; decimal || at == sizeof digits; decimal /= 10) digits[--at] = (char)('0' + decimal % 10);
            }
            text = digits + at;
            length = (int)sizeof digits - at;
        }
        if (!left) pad(width - length, fill);
        for (int i = 0; i < length; i++) put(text[i]);
        if (left) pad(width - length, ' ');
    }
    va_end(arguments);
}
