// What a C compiler calls for copies and clears that it does not write out, freestanding or not.

#include <stddef.h>

void *memcpy(void *destination, const void *source, size_t count) {
    void *to = destination;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(source), "+c"(count) : : "memory");
    return destination;
}

void *memset(void *destination, int value, size_t count) {
    void *to = destination;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
    return destination;
}
