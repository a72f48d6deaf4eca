/* The least that an append can cost: `append write|map DIRECTORY ROUNDS RECORDS` prints ns of CPU, a line a round.
 *
 * map: atomic add, 64 bytes with their CRC32C, compare-and-swap, in the prefaulted pages of a file. write: one bare write(2) of 64 bytes
 * to a file open with O_APPEND. Each round has a file of its own, made before the clock starts. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#define CRC_TARGET __attribute__((target("sse4.2")))
#define CRC64(crc, word) _mm_crc32_u64(crc, word)
#define CRC32(crc, word) _mm_crc32_u32((uint32_t)(crc), word)
#elif defined(__aarch64__)
#include <arm_acle.h>
#define CRC_TARGET __attribute__((target("+crc")))
#define CRC64(crc, word) __crc32cd((uint32_t)(crc), word)
#define CRC32(crc, word) __crc32cw((uint32_t)(crc), word)
#endif

enum { HEADER = 4096, RECORD = 64, TAIL = 128 };

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

CRC_TARGET __attribute__((noinline)) static void append_map(char *map, uint64_t capacity, uint64_t records, uint32_t salt) {
    uint64_t fields[7] = {1700000000000000u, 1, 1000000, 900000, 51200, 0, 7};
    for (uint64_t number = 0; number < records; number++) {
        fields[1]++;
        __asm__ volatile("" : "+m"(fields));
        uint32_t head = 6 | 1u << 16;
        uint64_t crc = CRC32(salt, head);
        for (int at = 0; at < 7; at++) crc = CRC64(crc, fields[at]);
        uint64_t slot = __atomic_fetch_add((uint64_t *)(map + TAIL), 1, __ATOMIC_RELAXED);
        if (slot >= capacity) abort();
        uint64_t *line = (uint64_t *)(map + HEADER + RECORD * slot), empty = 0;
        memcpy(line + 1, fields, 56);
        uint64_t word = (uint64_t)head << 32 | (uint32_t)~crc;
        if (!__atomic_compare_exchange_n(line, &empty, word, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) abort();
    }
}

__attribute__((noinline)) static void append_write(int file, uint64_t records) {
    uint64_t record[8] = {6, 1700000000000000u, 1, 1000000, 900000, 51200, 0, 7};
    for (uint64_t number = 0; number < records; number++) {
        record[2]++;
        if (write(file, record, RECORD) != RECORD) abort();
    }
}

int main(int count, char **arguments) {
    if (count != 5) return 2;
    int mapped = !strcmp(arguments[1], "map");
    uint64_t records = strtoull(arguments[4], NULL, 10), capacity = records + 64, bytes = HEADER + RECORD * capacity;
    char path[4096];
    for (int round = 0; round < atoi(arguments[3]); round++) {
        snprintf(path, sizeof path, "%s/c-%d", arguments[2], round);
        int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | (mapped ? 0 : O_APPEND), 0600);
        if (file < 0) return 1;
        char *map = NULL;
        if (mapped) {
            if (posix_fallocate(file, 0, (off_t)bytes)) return 1;
            map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
            if (map == MAP_FAILED) return 1;
            memset(map, 0, bytes);
            append_map(map, capacity, 1, 5);
        } else {
            static char header[HEADER];
            if (write(file, header, HEADER) != HEADER) return 1;
            append_write(file, 1);
        }
        uint64_t before = now();
        if (mapped) append_map(map, capacity, records, 5);
        else append_write(file, records);
        uint64_t took = now() - before;
        printf("%.3f\n", (double)took / (double)records);
        if (mapped) munmap(map, bytes);
        close(file);
        unlink(path);
    }
    return 0;
}
