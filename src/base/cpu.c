#include "base/cpu.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cgroup.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Linux hands out the tile registers only to processes that ask. */
static bool ask_for_tiles(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}

static bool has(uint32_t word, int bit)
{
    return word >> bit & 1;
}

static uint32_t find_flags(void)
{
    enum { YMM = 0x6, ZMM = 0xe6, TILES = 0x60000 };
    uint32_t a, b, c, d, flags = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, 27)) return 0;
    bool fma = has(c, 12), f16c = has(c, 29);
    uint64_t saved = read_xcr0();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    uint32_t subleaves = a, b7 = b, c7 = c, d7 = d, a71 = 0;
    if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) a71 = a;
    if ((saved & YMM) == YMM && has(b7, 5) && fma && f16c) flags |= DIO_CPU_AVX2;
    if (!flags || (saved & ZMM) != ZMM) return flags;
    if (has(b7, 16) && has(b7, 17) && has(b7, 30) && has(b7, 31)) flags |= DIO_CPU_AVX512;
    if (!(flags & DIO_CPU_AVX512)) return flags;
    if (has(c7, 11) && has(c7, 1)) flags |= DIO_CPU_VNNI;
    if (has(a71, 5)) flags |= DIO_CPU_BF16;
    bool tiles = has(d7, 22) && has(d7, 24) && has(d7, 25) && (saved & TILES) == TILES;
    if (tiles && ask_for_tiles()) flags |= DIO_CPU_AMX;
    return flags;
}

static void find_names(struct dio_cpu *cpu)
{
    uint32_t words[12] = {0}, a, b, c, d;
    if (__get_cpuid(0, &a, &b, &c, &d)) {
        memcpy(cpu->vendor, &b, 4);
        memcpy(cpu->vendor + 4, &d, 4);
        memcpy(cpu->vendor + 8, &c, 4);
    }
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t *part = words + 4 * i;
        if (!__get_cpuid(0x80000002u + i, &part[0], &part[1], &part[2], &part[3])) return;
    }
    memcpy(cpu->model, words, 48);
    size_t length = strlen(cpu->model), start = strspn(cpu->model, " ");
    while (length > start && cpu->model[length - 1] == ' ') length--;
    memmove(cpu->model, cpu->model + start, length - start);
    memset(cpu->model + (length - start), 0, sizeof cpu->model - (length - start));
}
#else
static uint32_t find_flags(void)
{
    return 0;
}

static void find_names(struct dio_cpu *cpu)
{
    struct utsname names;
    if (uname(&names) == 0) snprintf(cpu->model, sizeof cpu->model, "%.60s", names.machine);
}
#endif

/* CPUs in the affinity mask; the mask grows until the kernel's fits. */
static int count_affinity(void)
{
    for (int cpus = 1024; cpus <= 1 << 17; cpus *= 4) {
        cpu_set_t *mask = CPU_ALLOC((size_t)cpus); /* before there is a context to count with */
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        if (!mask) break;
        int result = sched_getaffinity(0, size, mask), error = errno;
        int count = result == 0 ? CPU_COUNT_S(size, mask) : 0;
        CPU_FREE(mask);
        if (result == 0) return count > 0 ? count : 1;
        if (error != EINVAL) break;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < 1 << 20 ? (int)online : 1;
}

static bool read_line(char *out, int out_size, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool got = fgets(out, out_size, file) != NULL;
    fclose(file);
    if (got) out[strcspn(out, "\n")] = '\0';
    return got;
}

static size_t parse_cache_size(const char *text)
{
    char *unit;
    unsigned long value = strtoul(text, &unit, 10);
    if (value > 1 << 30) return 0;
    return (size_t)value << (*unit == 'K' ? 10 : *unit == 'M' ? 20 : 0);
}

static void find_caches(struct dio_cpu *cpu)
{
    for (int index = 0; index < 8; index++) {
        char path[96], level[16], type[32], size[32];
        static const char folder[] = "/sys/devices/system/cpu/cpu0/cache/index";
        snprintf(path, sizeof path, "%s%d/level", folder, index);
        if (!read_line(level, sizeof level, path)) break;
        snprintf(path, sizeof path, "%s%d/type", folder, index);
        if (!read_line(type, sizeof type, path) || strcmp(type, "Instruction") == 0) continue;
        snprintf(path, sizeof path, "%s%d/size", folder, index);
        if (!read_line(size, sizeof size, path)) continue;
        size_t *slot = level[0] == '1' ? &cpu->l1d : level[0] == '2' ? &cpu->l2 : level[0] == '3' ? &cpu->l3 : NULL;
        if (slot) *slot = parse_cache_size(size);
    }
#ifdef _SC_LEVEL1_DCACHE_SIZE
    long size;
    if (cpu->l1d == 0 && (size = sysconf(_SC_LEVEL1_DCACHE_SIZE)) > 0) cpu->l1d = (size_t)size;
    if (cpu->l2 == 0 && (size = sysconf(_SC_LEVEL2_CACHE_SIZE)) > 0) cpu->l2 = (size_t)size;
    if (cpu->l3 == 0 && (size = sysconf(_SC_LEVEL3_CACHE_SIZE)) > 0) cpu->l3 = (size_t)size;
#endif
}

void dio_cpu_detect(struct dio_cpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    find_names(cpu);
    cpu->flags = find_flags();
    find_caches(cpu);
    struct dio_cgroup group = dio_cgroup_read("");
    cpu->allowed = count_affinity();
    /* Rounded up: with a quota of 1.5 CPUs two threads are quicker than one. */
    if (group.cpus > 0 && group.cpus < cpu->allowed) {
        int quota = (int)group.cpus;
        if ((double)quota < group.cpus) quota++;
        cpu->allowed = quota > 1 ? quota : 1;
    }
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0) cpu->memory = (uint64_t)pages * (uint64_t)page;
    cpu->memory_limit = group.memory < cpu->memory ? group.memory : cpu->memory;
}
