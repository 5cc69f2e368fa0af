/* What the machine offers. */
#ifndef DIO_BASE_CPU_H
#define DIO_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dio_cpu_flag {
    DIO_CPU_AVX2 = 1 << 0,    /* with FMA and F16C */
    DIO_CPU_AVX512 = 1 << 1,  /* F, BW, VL, DQ */
    DIO_CPU_VNNI = 1 << 2,    /* AVX512_VNNI and VBMI */
    DIO_CPU_BF16 = 1 << 3,    /* AVX512_BF16 */
    DIO_CPU_AMX = 1 << 4      /* AMX-TILE, AMX-BF16, AMX-INT8, and the kernel's permission */
};

struct dio_cpu {
    uint32_t flags;      /* found, operating system support (XCR0) included */
    char vendor[16], model[64];
    int allowed;         /* logical CPUs by affinity mask and cgroup quota, at least 1 */
    size_t l1d, l2, l3;  /* bytes, of the first core; 0 when not known */
    uint64_t memory, memory_limit; /* bytes of RAM, and the cgroup's limit (memory when there is none) */
};

void dio_cpu_detect(struct dio_cpu *cpu);

#endif
