// The parts of a case that the tests and the executor must do alike, and the start of the executor.
#define _GNU_SOURCE
#include "host_cases.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

void tz_host_fill(void *data) {
    uint64_t x = 0x9e3779b97f4a7c15;
    uint64_t *words = data;
    for (int i = 0; i < TZ_HOST_DATA_SIZE / 8; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        // Runs of equal bytes make comparing string instructions go on for a while.
        words[i] = i % 32 < 8 ? 0x4141414141414141 : x;
    }
}

void tz_host_poke_all(void *data, const tz_host_case *c) {
    for (uint32_t i = 0; i < c->poke_count; i++) memcpy((char *)data + c->pokes[i].offset, &c->pokes[i].value, 8);
}

void tz_host_restore(void *data, const void *clean, const tz_host_case *c, const tz_host_outcome *outcome) {
    memcpy((char *)data + outcome->first, (const char *)clean + outcome->first, outcome->count);
    for (uint32_t i = 0; i < c->poke_count; i++) {
        memcpy((char *)data + c->pokes[i].offset, (const char *)clean + c->pokes[i].offset, 8);
    }
}

void tz_host_compare(void *data, const void *clean, const tz_host_case *c, tz_host_outcome *outcome) {
    static uint64_t before[TZ_HOST_DATA_SIZE / 8];
    memcpy(before, clean, sizeof before);
    tz_host_poke_all(before, c);
    const uint8_t *old = (const uint8_t *)before, *new = data;
    for (int i = 0; i < 3; i++) {
        uint64_t at = c->ignored_data[i][0], count = c->ignored_data[i][1];
        if (at + count <= TZ_HOST_DATA_WRITABLE) memcpy((uint8_t *)data + at, old + at, count);
    }
    uint64_t first = 0, end = TZ_HOST_DATA_SIZE;
    while (first < end && !memcmp(old + first, new + first, 64)) first += 64;
    while (end > first && !memcmp(old + end - 64, new + end - 64, 64)) end -= 64;
    while (first < end && old[first] == new[first]) first++;
    while (end > first && old[end - 1] == new[end - 1]) end--;
    outcome->first = first < end ? first : 0;
    outcome->count = end - first;
    outcome->hash = 0xcbf29ce484222325;
    for (uint64_t i = first; i < end; i++) outcome->hash = (outcome->hash ^ new[i]) * 0x100000001b3;
    memset(outcome->span, 0, sizeof outcome->span);
    memcpy(outcome->span, new + first, outcome->count < TZ_HOST_SPAN ? outcome->count : TZ_HOST_SPAN);
}

int tz_host_is_amd(void) {
    __builtin_cpu_init();
    return __builtin_cpu_is("amd") != 0;
}

int tz_host_has_fsgsbase(void) { return (getauxval(AT_HWCAP2) & 2) != 0; }

int tz_host_spawn(const char *path, int *process, int *to, int *from) {
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) || pipe2(output, O_CLOEXEC)) return -1;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], 0);
    posix_spawn_file_actions_adddup2(&actions, output[1], 1);
    char *arguments[] = {(char *)path, NULL};
    char *environment[] = {NULL};
    int error = posix_spawn(process, path, &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]);
    close(output[1]);
    *to = input[1];
    *from = output[0];
    return error;
}
